"""`alexnet records verify`: what it prints, its JSON, its exit codes, and mending."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from alexnet.pipeline.verify import repair
from tests.cli.conftest import alexnet, alexnet_json, failure
from tests.conftest import NUM_PHOTOS, flip
from tests.pipeline.build.test_build import content
from tests.pipeline.verify.test_damage import places

VERIFY = ("records", "verify")
SHARD = "train-00000-of-00001.tfrecord"


@pytest.fixture
def records(built: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A record set that may be spoilt: 18 and 6 photos, a shard each."""
    return Path(shutil.copytree(built[0], tmp_path / "records"))


def test_a_whole_set(records: Path) -> None:
    assert alexnet_json(*VERIFY, records) == {
        "data": str(records),
        "num_examples": NUM_PHOTOS,
        "num_bad": 0,
        "bad": [],
        "repaired": [],
    }
    ended = alexnet(*VERIFY, records)
    assert ended.code == 0
    assert ended.out == f"{records}: 24 examples, every byte is what was written\n"


def test_a_damaged_record_in_json(records: Path) -> None:
    place = places(records / SHARD)[7]
    flip(records / SHARD, place.start + 200)
    ended = alexnet(*VERIFY, records, "--json")
    assert ended.code == 1
    found = ended.json
    assert (found["num_examples"], found["num_bad"]) == (NUM_PHOTOS, 1)
    (bad,) = found["bad"]
    assert bad == {
        "shard": SHARD,
        "record": 7,
        "offset": place.start,
        "key": place.key,
        "reason": "damaged data",
    }


def test_a_damaged_record_for_people(records: Path) -> None:
    place = places(records / SHARD)[7]
    flip(records / SHARD, place.start)
    ended = alexnet(*VERIFY, records)
    assert ended.code == 1
    assert ended.out == (
        f"{SHARD}, record 7, byte {place.start} ({place.key!r}): damaged header\n"
    )
    assert f"records verify {records} --repair --source SOURCE" in ended.err


def test_twenty_are_told_and_the_rest_counted(records: Path) -> None:
    for shard in records.glob("*.tfrecord"):
        for place in places(shard):
            flip(shard, place.end - 1)
    *lines, last = alexnet(*VERIFY, records).out.splitlines()
    assert len(lines) == 20
    assert last == "... and 4 more"
    assert len(alexnet(*VERIFY, records, "-v").out.splitlines()) == NUM_PHOTOS


def test_mending(records: Path, photos: Path) -> None:
    before = content(records)
    flip(records / SHARD, 30)
    repair = (*VERIFY, records, "--repair", "--source", photos)
    ended = alexnet(*repair)
    assert ended.code == 0
    found, mended, whole = ended.out.splitlines()
    assert found.startswith(f"{SHARD}, record 0, byte 0 ('")
    assert mended == f"mended: {SHARD}"
    assert "24 examples, every byte is what was written" in whole
    assert content(records) == before
    (records / SHARD).unlink()
    found = alexnet_json(*repair)
    assert (found["num_bad"], found["bad"], found["repaired"]) == (0, [], [SHARD])
    assert content(records) == before
    assert alexnet_json(*repair)["repaired"] == []


def test_beam_reads_and_this_machine_mends(records: Path, photos: Path) -> None:
    before, beam = content(records), ("--runner", "beam")
    flip(records / SHARD, 30)
    damaged = content(records)
    local, there = (alexnet(*VERIFY, records, *words) for words in ((), beam))
    assert (there.code, there.out) == (local.code, local.out) == (1, local.out)
    assert there.err == local.err and content(records) == damaged
    answers = records.parent / "answers"
    said = failure(*VERIFY, records, *beam, "--answers", answers)
    assert str(answers) in said and said.endswith("write to as --answers.")
    answers.mkdir()
    words = (*beam, "--answers", answers, "--repair", "--source", photos)
    found = alexnet_json(*VERIFY, records, *words)
    assert (found["num_bad"], found["repaired"]) == (0, [SHARD])
    assert content(records) == before


def test_a_source_alone_names_the_photos(records: Path, photos: Path) -> None:
    place = places(records / SHARD)[2]
    data = (records / SHARD).read_bytes()
    flip(records / SHARD, data.index(place.key.encode(), place.start) - 1)
    damaged = content(records)
    ended = alexnet(*VERIFY, records, "--json")
    assert ended.json["bad"][0]["key"] is None
    ended = alexnet(*VERIFY, records, "--source", photos, "--json")
    assert (ended.code, ended.json["bad"][0]["key"]) == (1, place.key)
    assert content(records) == damaged


def test_what_cannot_be_mended_is_told(records: Path, photos: Path) -> None:
    source = Path(shutil.copytree(photos, records.parent / "photos"))
    flip(records / SHARD, 30)
    damaged = content(records)
    (source / "cat" / "00.jpg").unlink()
    repair = (*VERIFY, records, "--repair", "--source", source)
    assert "not built from what" in failure(*repair)
    assert "no such folder: gone" in failure(*VERIFY, "gone")
    (records / "dataset.json").write_text("{}")
    assert "cannot be repaired" in failure(*VERIFY, records)
    damaged["dataset.json"] = b"{}"
    assert content(records) == damaged


def test_repair_needs_a_source(records: Path) -> None:
    ended = alexnet(*VERIFY, records, "--repair")
    assert ended.code == 2
    assert "--source" in ended.err


def test_ctrl_c_while_mending_says_how_to_go_on(
    records: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(repair, "repair", interrupt)
    ended = alexnet(*VERIFY, records, "--repair", "--source", photos)
    assert ended.code == 130
    assert "run the same command again" in ended.err


def test_a_name_that_is_no_text_can_be_printed(photos: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(photos, tmp_path / "photos"))
    photo = next(source.glob("*/*.jpg"))
    photo.rename(os.fsdecode(os.fsencode(photo.parent) + b"/caf\xe9.jpg"))
    records = tmp_path / "records"
    quick = ("--side", 16, "--workers", 1)
    alexnet_json("records", "build", source, "--out", records, *quick)
    for shard in records.glob("*.tfrecord"):
        for place in places(shard):
            flip(shard, place.start)
    ended = alexnet(*VERIFY, records, "-v")
    assert r"caf\udce9.jpg'" in ended.out.encode("utf-8").decode()
