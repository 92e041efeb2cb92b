"""Loaders by name: each is planned under its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.benchmarks.config import Loader
from alexnet.benchmarks.loaders import loaders
from alexnet.benchmarks.loaders.environment import ENVIRONMENTS
from alexnet.benchmarks.measure import Timing
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records


@pytest.mark.parametrize("name", [loader.value for loader in Loader])
def test_every_loader_is_planned_under_its_name(
    record_sets: dict[StorageName, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan_script(name: str, records: OpenedRecords, batch_size: int) -> Timing:
        assert name in ENVIRONMENTS
        return Timing(name, lambda: (number for number in [batch_size]))

    monkeypatch.setattr(loaders, "plan_script", plan_script)
    timing = loaders.plan_loader(name, open_records(record_sets["jpeg"]), 6)
    assert timing.name == name
    if name in ENVIRONMENTS:
        assert list(timing.start()) == [6]
