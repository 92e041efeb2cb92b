"""What Beam's workers find in shards is what threads of this process find in them."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from alexnet.pipeline.config import StorageName
from alexnet.pipeline.errors import ConfigError, DataError
from alexnet.pipeline.records.manifest import LABELS, load_manifest
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.verify.beam import inspect_there
from alexnet.pipeline.verify.damage import BadRecord
from alexnet.pipeline.verify.inspection import Inspection, Inspector
from alexnet.pipeline.verify.verify import verify
from tests.conftest import flip
from tests.pipeline.records.test_manifest import change_manifest
from tests.remote import upload

SHARDS = [f"train-{number:05d}-of-00003.tfrecord" for number in range(3)]


def damage(folder: Path) -> None:
    """Change bytes, a shard's length, class names, a count; take a shard away."""
    flip(folder / SHARDS[0], 30)
    flip(folder / SHARDS[0], (folder / SHARDS[0]).stat().st_size - 1)
    os.truncate(folder / SHARDS[1], 5000)
    (folder / SHARDS[2]).unlink()
    (folder / LABELS).write_text("cat\n")

    def move_one(values: dict[str, Any]) -> None:
        cats, dogs = values["splits"]["validation"]["class_counts"]
        values["splits"]["validation"]["class_counts"] = [cats - 1, dogs + 1]

    change_manifest(folder, move_one)


@pytest.fixture
def damaged(record_sets: dict[StorageName, Path], tmp_path: Path, request: Any) -> Path:
    """A `jpeg` record set, or one of the storage that a test asks for."""
    storage: StorageName = getattr(request, "param", "jpeg")
    folder = Path(shutil.copytree(record_sets[storage], tmp_path / "set"))
    damage(folder)
    return folder


@pytest.mark.parametrize("damaged", ["jpeg", "raw"], indirect=True)
def test_the_report_is_that_of_a_local_one(
    damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the report comes of it, and the path in it is the one given."""
    monkeypatch.chdir(tmp_path)
    before, here = sorted(damaged.rglob("*")), Path("set")
    shown: list[tuple[int, int]] = []
    found = verify(here, lambda *done: shown.append(done), beam=(), workers=2)
    assert found == verify(here)
    assert [bad.shard for bad in found.bad] == [
        *(SHARDS[0], SHARDS[0], SHARDS[1], SHARDS[2], "dataset.json", LABELS)
    ]
    assert sorted(damaged.rglob("*")) == before
    sizes = [shard.num_bytes for shard in load_manifest(damaged).shards]
    assert shown[0] == (0, sum(sizes)) and shown[-1] == (sum(sizes), sum(sizes))
    steps = sorted(after - before for (before, _), (after, _) in pairwise(shown))
    assert steps == sorted(sizes)  # a shard at a time


def test_a_set_at_a_url_is_fetched_by_the_workers(
    damaged: Path, tmp_path: Path
) -> None:
    far, answers = Location(f"memory://{tmp_path.name}"), tmp_path / "answers"
    upload(damaged, far)
    with pytest.raises(ConfigError, match=f"not in {far}. .* as `answers`"):
        verify(far, beam=())
    with pytest.raises(ConfigError, match=f"{answers} .* No such file or directory. "):
        verify(far, beam=(), answers=answers)
    answers.mkdir()
    assert verify(far, beam=(), answers=answers) == verify(far)
    assert not [*answers.iterdir()]


def test_a_worker_that_does_not_see_the_set_tells_of_no_damage(damaged: Path) -> None:
    shard = load_manifest(damaged).shards[0]
    with pytest.raises(DataError, match=r"a worker on \S+ sees no .*dataset\.json\. "):
        inspect_there(Inspector(damaged / "elsewhere", None, 2), shard)


def test_json_holds_an_inspection() -> None:
    bad = BadRecord(SHARDS[0], 3, 2**40, "caf\udce9.jpg", "holds no label")
    labels = Counter[int | None]({0: 5, None: 1, -(2**63): 2})
    for inspection in (Inspection((bad, bad), labels), Inspection(())):
        text = json.dumps(inspection.to_json())
        assert Inspection.from_json(json.loads(text)) == inspection


def test_the_shards_read_at_a_time_are_as_many_as_are_asked_for(
    damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here, where each waits for the others."""
    together = threading.Barrier(4)

    def inspect(*_: object) -> Inspection:
        together.wait(250)
        return Inspection(())

    monkeypatch.setattr(Inspector, "inspect", inspect)
    verify(damaged, workers=4)
