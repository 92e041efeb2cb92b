"""Rivals by name: what is known, and who plans which."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.benchmarks.loaders import loaders
from alexnet.benchmarks.loaders.peer import PEERS
from alexnet.benchmarks.measure import Timing
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records


@pytest.mark.parametrize("names", [(), ("article",), ("plain", "dali", "article")])
def test_known_names_pass(names: tuple[str, ...]) -> None:
    loaders.require_rivals(names)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("petastorm",), "against is 'petastorm'; it needs one of article, plain"),
        (("plain", "plain"), "against is 'plain'; it needs to be named once"),
    ],
)
def test_others_are_told(names: tuple[str, ...], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        loaders.require_rivals(names)


@pytest.mark.parametrize("name", ["article", "plain", *PEERS])
def test_every_rival_is_planned_under_its_name(
    record_sets: dict[StorageName, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan_peer(name: str, records: OpenedRecords, batch_size: int) -> Timing:
        return Timing(name, lambda: (number for number in [batch_size]))

    monkeypatch.setattr(loaders, "plan_peer", plan_peer)
    records = open_records(record_sets["jpeg"])
    timing = loaders.plan_rival(name, records, 6)
    assert timing.name == name
    if name in PEERS:
        assert list(timing.start()) == [6]
