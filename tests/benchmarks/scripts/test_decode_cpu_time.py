"""CPU time of decoding: what takes part, what it delivers, and the figures by hand."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from alexnet.benchmarks.scripts import decode_cpu_time as module
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.records.turbojpeg import LIBRARY_VARIABLE, load_turbojpeg
from tests.conftest import SIDE

Records = dict[StorageName, Path]
OURS = [way for way in module.WAYS if not way.startswith("ffcv")]


def test_figures_are_those_of_the_same_round() -> None:
    """The machine is half as fast in the second round."""
    rounds = [
        {"mapped-rgb": 2000.0, "bare-rgb": 4000.0},
        {"mapped-rgb": 1000.0, "bare-rgb": 2000.0},
        {"mapped-rgb": 2500.0, "bare-rgb": 4000.0},
    ]
    ways = {way: module.summarize(rounds, way, 200) for way in rounds[0]}
    mapped = ways["mapped-rgb"]
    # 1e6 by 2000, 1000 and 2500 images a second: 500, 1000 and 400 us.
    assert mapped["microseconds"] == 500
    assert mapped["spread"] == pytest.approx(600 / 500)
    # 40 000 pixels in 500 us.
    assert mapped["megapixels_per_cpu_second"] == pytest.approx(80)
    by_bare = {"ratio": 0.5, "least": 0.5, "most": 0.625}
    assert mapped["against"] == {"bare-rgb": by_bare}
    assert module.table(ways).splitlines() == [
        "| way | us an image (spread) | megapixels a CPU second"
        " | against `jpeg` as RGB, mapped | against bare libjpeg-turbo, RGB |",
        "|---|---|---|---|---|",
        "| `jpeg` as RGB, mapped | 500 (120%) | 80 | 1 | 0.50 (0.50 to 0.62) |",
        "| bare libjpeg-turbo, RGB | 250 (100%) | 160 | 2.00 (1.60 to 2.00) | 1 |",
    ]


@pytest.mark.usefixtures("libturbojpeg")
@pytest.mark.parametrize("way", OURS)
def test_every_way_delivers(record_sets: Records, way: str) -> None:
    records = module.open_jpeg_records(record_sets["jpeg"])
    with closing(module.deliveries(way, records, 6)) as deliveries:
        delivered = [next(deliveries) for _ in range(3)]
    # The bare library's threads have parts of the 18 images.
    assert 0 < min(delivered) <= max(delivered) <= 18
    if not way.startswith("bare"):
        assert delivered == [6, 6, 6]


def test_what_is_not_installed_is_left_out(
    record_sets: Records,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ALEXNET_LOADERS", str(tmp_path))
    monkeypatch.setenv(LIBRARY_VARIABLE, str(tmp_path / "gone.so"))
    load_turbojpeg.cache_clear()
    ways = ["mapped-planes", "ffcv-jpeg"]
    assert module.main([str(record_sets["jpeg"]), "--ways", *ways]) == 1
    load_turbojpeg.cache_clear()
    error = capsys.readouterr().err
    assert "needs libturbojpeg" in error
    assert "`make loaders`" in error


def test_other_records_give_the_way_out(
    record_sets: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    assert module.main([str(record_sets["raw"])]) == 1
    assert "holds `raw` records" in capsys.readouterr().err


@pytest.mark.slow
def test_two_ways_take_turns(
    record_sets: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--ways", "mapped-rgb", "bare-rgb", "--rounds", "2", "--seconds", "0.5"]
    words += ["--batch-size", "6", "--json"]
    assert module.main([str(record_sets["jpeg"]), *words]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["side"], report["rounds"], report["left_out"]) == (SIDE, 2, {})
    ours = report["ways"]["mapped-rgb"]["against"]["bare-rgb"]
    assert 0 < ours["least"] <= ours["ratio"] <= ours["most"]
