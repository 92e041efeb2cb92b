"""Two hosts behind slow links deliver what one does twice over."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from alexnet.benchmarks.scripts.data_service_hosts import (
    SIDE,
    Speeds,
    compare,
    make_records,
    slow_host,
)


def test_speeds_in_words() -> None:
    speeds = Speeds([100.0, 90.0, 80.0], [190.0, 180.0, 176.0], 100.0)
    assert speeds.ratios == [1.9, 2.0, 2.2]
    assert speeds.describe() == (
        "link 100 images/s; one host 90 (0.90 of it), two 180 (0.90 of theirs);"
        " ratio 2.00 (1.90 to 2.20)"
    )


@pytest.mark.slow
def test_two_hosts_double_what_one_delivers(tmp_path: Path) -> None:
    try:
        with slow_host("alexnet-try", 2, 10):
            pass
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"network namespaces are not to be had: {error}")
    speeds = compare(make_records(tmp_path), 50, 5, rounds=1)
    assert speeds.link == pytest.approx(50e6 / 8 / (3 * SIDE**2))
    # Of the link, headers take some; a burst may add some.
    assert 0.7 < speeds.one[0] / speeds.link < 1.1
    assert 1.6 < speeds.ratios[0] < 2.4
