"""`alexnet records ...`: sources, wrong inputs, what is printed, and Ctrl-C."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from PIL import Image

from alexnet.pipeline.build import shard as shard_contents
from alexnet.pipeline.records import tfrecord
from tests.cli.conftest import STORED_SIDE, alexnet, alexnet_json, failure
from tests.conftest import NUM_PHOTOS, picture_size

BUILD = ("records", "build")
QUICK = ("--side", 16, "--workers", 1)


@pytest.fixture
def named(photos: Path, tmp_path: Path) -> Path:
    """The photos in one folder, as cat.00.jpg and dog.01.jpg."""
    folder = tmp_path / "named"
    folder.mkdir()
    for photo in photos.glob("*/*.jpg"):
        shutil.copy(photo, folder / f"{photo.parent.name}.{photo.name}")
    return folder


def copied(photos: Path, folder: Path) -> Path:
    """A copy of the photos that may be spoilt."""
    shutil.copytree(photos, folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """What every file of a record set holds."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_build_json(built: tuple[Path, dict[str, Any]]) -> None:
    records, found = built
    assert found["data"] == str(records)
    assert found["storage"] == "jpeg"
    assert found["class_names"] == ["cat", "dog"]
    assert found["quarantined"] == 0
    assert found["seconds"] > 0
    assert found["images_per_second"] == pytest.approx(NUM_PHOTOS / found["seconds"])
    assert list(found["splits"]) == ["train", "validation"]
    for name, examples in (("train", 18), ("validation", 6)):
        split = found["splits"][name]
        shards = list(records.glob(f"{name}-*.tfrecord"))
        assert split["num_examples"] == examples
        assert split["num_shards"] == len(shards)
        assert split["num_bytes"] == sum(path.stat().st_size for path in shards)


def test_a_build_tells_people_what_it_found_and_what_to_do_next(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "records"
    ended = alexnet(*BUILD, photos, "--out", out, *QUICK)
    assert ended.code == 0
    assert "24 images of 2 classes (cat, dog), labelled by class folders" in ended.err
    assert f"next: alexnet fit {out}" in ended.err
    assert "18" in ended.out
    assert "validation" in ended.out


def test_records_go_to_the_current_folder(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert alexnet_json(*BUILD, photos, *QUICK)["data"] == "records"
    assert alexnet_json("records", "info")["class_names"] == ["cat", "dog"]
    assert (tmp_path / "records" / "dataset.json").is_file()


def test_a_finished_set_is_left_as_it_is(photos: Path, tmp_path: Path) -> None:
    words = (*BUILD, photos, "--out", tmp_path / "records", *QUICK)
    first = alexnet_json(*words)
    before = contents(tmp_path / "records")
    ended = alexnet(*words)
    assert ended.code == 0
    assert "finished already" in ended.err
    again = alexnet(*words, "--json")
    assert "finished already" in again.err
    for name in set(first) - {"seconds", "images_per_second"}:
        assert again.json[name] == first[name]
    assert contents(tmp_path / "records") == before


def test_a_set_that_keeps_no_photo_is_not_called_finished(tmp_path: Path) -> None:
    source = tmp_path / "cut"
    source.mkdir()
    for name in ("cat.1.jpg", "cat.2.jpg", "dog.1.jpg", "dog.2.jpg"):
        (source / name).write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF")
    words = (*BUILD, source, "--out", tmp_path / "records", *QUICK, "--max-bad", 1)
    ended = alexnet(*words)
    assert ended.code == 0
    assert "finished already" not in ended.err
    assert "finished already" in alexnet(*words).err


def as_zip(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*.jpg"):
            archive.write(file, file.relative_to(folder.parent))
    return path


def as_tar(folder: Path, path: Path) -> Path:
    with tarfile.open(path, "w") as archive:
        archive.add(folder, ".")
    return path


@pytest.mark.parametrize(
    ("pack", "name"), [(as_zip, "photos.zip"), (as_tar, "photos.tar")]
)
def test_an_archive_gives_the_folders_records(
    pack: Callable[[Path, Path], Path], name: str, photos: Path, tmp_path: Path
) -> None:
    folder, packed = tmp_path / "folder", tmp_path / "packed"
    alexnet_json(*BUILD, photos, "--out", folder, *QUICK)
    alexnet_json(*BUILD, pack(photos, tmp_path / name), "--out", packed, *QUICK)
    assert contents(packed) == contents(folder)


def test_a_flat_folder_is_labelled_by_its_names(named: Path, tmp_path: Path) -> None:
    ended = alexnet(*BUILD, named, "--out", tmp_path / "records", *QUICK)
    assert ended.code == 0
    assert "2 classes (cat, dog), labelled by file names" in ended.err


def test_a_csv_labels_files(photos: Path, tmp_path: Path) -> None:
    folder = copied(photos, tmp_path / "photos")
    table = folder / "labels.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "label"])
        for number, photo in enumerate(sorted(folder.rglob("*.jpg"))):
            name = photo.relative_to(folder).as_posix()
            writer.writerow([name, ("day", "dusk", "night")[number % 3]])
    found = alexnet_json(*BUILD, table, "--out", tmp_path / "records", *QUICK)
    assert found["class_names"] == ["day", "dusk", "night"]
    assert found["splits"]["validation"]["num_examples"] == 6


@pytest.mark.parametrize("name", ["gone", "gone/deeper"])
def test_a_missing_folder_is_named(name: str, tmp_path: Path) -> None:
    message = failure(*BUILD, tmp_path / name)
    assert message.startswith(f"no such folder: {tmp_path / name}")
    assert "Expected a folder of class folders" in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert failure(*BUILD, tmp_path / "a.zip").startswith("no such file: ")


def test_an_empty_folder_is_told_what_is_expected(tmp_path: Path) -> None:
    message = failure(*BUILD, tmp_path, "--out", tmp_path / "records")
    assert f"no images in {tmp_path}" in message
    assert "cat/1.jpg" in message
    assert not (tmp_path / "records").exists()


def test_a_mixture_of_labels_is_refused(photos: Path, tmp_path: Path) -> None:
    folder = copied(photos, tmp_path / "photos")
    for number in range(10):
        shutil.copy(folder / "cat" / "00.jpg", folder / f"cat.{number}.jpg")
    message = failure(*BUILD, folder, "--out", tmp_path / "records")
    assert "class folders (24" in message
    assert "beside them (10, such as cat.0.jpg)" in message
    assert "--labels" in message


def test_one_class_alone_can_be_built(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos / "cat", tmp_path / "photos" / "cat")
    words = (*BUILD, tmp_path / "photos", "--out", tmp_path / "records", *QUICK)
    assert alexnet_json(*words)["class_names"] == ["cat"]


def test_a_class_with_one_photo_is_warned_of(photos: Path, tmp_path: Path) -> None:
    folder = copied(photos, tmp_path / "photos")
    (folder / "fox").mkdir()
    shutil.copy(folder / "cat" / "00.jpg", folder / "fox")
    ended = alexnet(*BUILD, folder, "--out", tmp_path / "records", *QUICK)
    assert ended.code == 0
    warnings = [line for line in ended.err.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert "one image, which is trained on: 1 of 3 (fox)" in warnings[0]


def test_other_settings_are_named_and_overwritten(photos: Path, tmp_path: Path) -> None:
    words = (*BUILD, photos, "--out", tmp_path / "records", *QUICK)
    alexnet_json(*words)
    before = contents(tmp_path / "records")
    message = failure(*words, "--quality", 60, "--seed", 3)
    assert "quality 90 -> 60, seed 21 -> 3" in message
    assert "--overwrite" in message
    assert contents(tmp_path / "records") == before
    alexnet_json(*words, "--quality", 60, "--overwrite")
    assert contents(tmp_path / "records") != before


def test_a_folder_of_other_things_is_left_alone(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    for more in ((), ("--overwrite",)):
        message = failure(*BUILD, photos, "--out", tmp_path, *QUICK, *more)
        assert "letter.txt" in message
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_full_disk_is_told_before_anything_is_written(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int = 2048

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage())
    words = ("--storage", "raw", "--side", 100)
    message = failure(*BUILD, photos, "--out", tmp_path / "records", *words)
    # 24 records; one is 100 x 100 x 3 bytes and a little for names: 8 pages.
    assert "about 768.0 KiB are needed, 2.0 KiB are free" in message
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize(
    ("option", "value", "needs"),
    [
        ("--validation-fraction", 1.5, "0 to 1"),
        ("--validation-fraction", -0.1, "0 to 1"),
        ("--quality", 0, "1 to 100"),
        ("--side", 4, "8 to 4096"),
        ("--shards", 0, "1 to 99999"),
        ("--shards", 19, "train has only 18 examples"),
        ("--shard-size", "1", "1 KiB or more"),
    ],
)
def test_settings_out_of_range_are_told(
    option: str, value: float, needs: str, photos: Path, tmp_path: Path
) -> None:
    message = failure(*BUILD, photos, "--out", tmp_path / "records", option, value)
    assert needs in message
    assert str(value) in message
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize(("fraction", "held_out"), [(0, 0), (1, NUM_PHOTOS), (0.3, 8)])
def test_the_share_held_out(
    fraction: float, held_out: int, photos: Path, tmp_path: Path
) -> None:
    words = (*BUILD, photos, "--out", tmp_path / "records", *QUICK)
    splits = alexnet_json(*words, "--validation-fraction", fraction)["splits"]
    assert splits["validation"]["num_examples"] == held_out
    assert splits["train"]["num_examples"] == NUM_PHOTOS - held_out
    for split in splits.values():
        assert (split["num_shards"] > 0) == (split["num_examples"] > 0)


def test_shards_are_trains_and_validation_gets_its_share(
    photos: Path, tmp_path: Path
) -> None:
    words = (*BUILD, photos, "--out", tmp_path / "records", *QUICK)
    splits = alexnet_json(*words, "--shards", 6)["splits"]
    # 18 examples in 6 shards are 3 each; so 6 examples are 2.
    assert splits["train"]["num_shards"] == 6
    assert splits["validation"]["num_shards"] == 2
    assert (tmp_path / "records" / "train-00005-of-00006.tfrecord").is_file()


def test_no_shard_is_larger_than_asked(photos: Path, tmp_path: Path) -> None:
    words = (*BUILD, photos, "--out", tmp_path / "records", *QUICK, "--storage", "raw")
    splits = alexnet_json(*words, "--shard-size", "4KiB")["splits"]
    shards = list((tmp_path / "records").glob("*.tfrecord"))
    assert len(shards) == sum(split["num_shards"] for split in splits.values())
    assert len(shards) > 2
    assert max(shard.stat().st_size for shard in shards) <= 4096


def spoilt(photos: Path, folder: Path, bad: int) -> Path:
    """The photos, the first `bad` cats being text."""
    for photo in sorted((copied(photos, folder) / "cat").iterdir())[:bad]:
        photo.write_text("not a photo")
    return folder


def test_a_bad_image_is_set_aside_and_named(photos: Path, tmp_path: Path) -> None:
    folder, out = spoilt(photos, tmp_path / "photos", 1), tmp_path / "records"
    words = (*BUILD, folder, "--out", out, *QUICK)
    ended = alexnet(*words)
    assert ended.code == 0
    assert "'cat/00.jpg'" in ended.err
    lines = (out / "quarantine.jsonl").read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["cat/00.jpg"]
    found = alexnet_json(*words)
    assert found["quarantined"] == 1
    counts = [split["num_examples"] for split in found["splits"].values()]
    assert sum(counts) == NUM_PHOTOS - 1


def test_a_lost_list_of_what_was_set_aside_is_told(
    photos: Path, tmp_path: Path
) -> None:
    folder, out = spoilt(photos, tmp_path / "photos", 1), tmp_path / "records"
    words = (*BUILD, folder, "--out", out, *QUICK)
    before = alexnet_json(*words)
    (out / "quarantine.jsonl").unlink()
    ended = alexnet(*words)
    assert ended.code == 0
    lost = f"1 set aside; their list, {out}/quarantine.jsonl, is missing"
    assert lost in ended.err.splitlines()
    again = alexnet_json(*words)
    assert again["quarantined"] == before["quarantined"] == 1
    ended = alexnet("records", "info", out)
    assert ended.code == 0
    (line,) = (line for line in ended.out.splitlines() if "set aside" in line)
    assert line.endswith("1; their list, quarantine.jsonl, is missing or damaged")
    assert alexnet_json("records", "info", out)["quarantined"] == 1


def test_a_photo_that_may_not_be_read_is_named_with_what_to_do(
    photos: Path,
) -> None:
    user = os.geteuid()
    with TemporaryDirectory() as place:  # pytest's own lets nobody else in
        folder = copied(photos, Path(place) / "photos")
        forbidden = folder / "dog" / "01.jpg"
        out = Path(place) / "out"
        words = (*BUILD, folder, "--out", out, *QUICK, "--workers", 1)
        forbidden.chmod(0)
        folder.chmod(0o755)
        Path(place).chmod(0o777)
        if not user:
            os.seteuid(65_534)
        try:
            message = failure(*words)
            assert not (out / "dataset.json").exists()
        finally:
            if not user:
                os.seteuid(user)
        assert message.startswith(f"{forbidden} cannot be read: Permission denied. ")
        assert "Allow this user to read it (chmod)" in message
        assert "run the same command again to go on" in message
        forbidden.chmod(0o644)
        assert alexnet_json(*words)["quarantined"] == 0


@pytest.mark.parametrize(
    ("bad", "max_bad", "code"), [(1, 0, 1), (2, 0.01, 1), (2, 0.1, 0), (3, 0.1, 1)]
)
def test_more_bad_images_than_allowed_end_the_build(
    bad: int, max_bad: float, code: int, photos: Path, tmp_path: Path
) -> None:
    folder = spoilt(photos, tmp_path / "photos", bad)
    words = (*BUILD, folder, "--out", tmp_path / "records", "--max-bad", max_bad)
    ended = alexnet(*words, *QUICK)
    assert ended.code == code
    assert ("--max-bad" in ended.err) == bool(code)
    assert (tmp_path / "records" / "dataset.json").is_file() != bool(code)


def test_verbose_lists_what_was_ignored(photos: Path, tmp_path: Path) -> None:
    folder = copied(photos, tmp_path / "photos")
    (folder / "cat" / "notes.txt").write_text("purrs")
    words = (*BUILD, folder, "--out", tmp_path / "records", *QUICK)
    quiet = alexnet(*words)
    assert "1 other file ignored" in quiet.err
    assert "notes.txt" not in quiet.err
    assert "ignored: cat/notes.txt" in alexnet(*words, "-v").err


def test_class_names_are_shown_as_they_are(photos: Path, tmp_path: Path) -> None:
    folder = copied(photos, tmp_path / "photos")
    (folder / "cat").rename(folder / "[bold]")
    (folder / "dog").rename(folder / ":dog:")
    words = (*BUILD, folder, "--out", tmp_path / "records", *QUICK)
    assert alexnet_json(*words)["class_names"] == [":dog:", "[bold]"]
    table = alexnet("records", "info", tmp_path / "records").out
    assert ":dog:" in table
    assert "[bold]" in table


def test_info_json(built: tuple[Path, dict[str, Any]]) -> None:
    records, report = built
    found = alexnet_json("records", "info", records)
    assert found["data"] == str(records)
    assert found["class_names"] == ["cat", "dog"]
    assert found["config"]["side"] == STORED_SIDE
    for name, counts in (("train", [9, 9]), ("validation", [3, 3])):
        assert found["splits"][name]["class_counts"] == counts
        shards = found["splits"][name]["shards"]
        assert (
            sum(shard["num_bytes"] for shard in shards)
            == (report["splits"][name]["num_bytes"])
        )


def test_info_for_people(built: tuple[Path, dict[str, Any]], photos: Path) -> None:
    ended = alexnet("records", "info", built[0])
    assert ended.code == 0
    rows = [line.split() for line in ended.out.splitlines()]
    assert any({"cat", "9", "3"} <= set(row) for row in rows)
    assert any({"cat", "50.0%"} <= set(row) for row in rows)
    assert any({"all", "18", "6"} <= set(row) for row in rows)
    facts = {row[0]: " ".join(row[1:]) for row in rows if row}
    assert f"jpeg, {STORED_SIDE} px" in facts["settings"]
    sides = [min(picture_size(path)) for path in photos.rglob("*.jpg")]
    assert facts["photos"].startswith(f"shorter side {min(sides)} to {max(sides)} px")
    assert facts["photos"].endswith("so scaled up: 24")
    assert facts["duplicates"] == "none"
    assert facts["read"].startswith("by mmap: ")
    assert "layout" not in facts


def test_info_tells_of_layout_classes_and_bad_photos(
    photos: Path, tmp_path: Path
) -> None:
    folder, out = copied(photos, tmp_path / "photos"), tmp_path / "records"
    for number, path in enumerate(sorted((folder / "dog").iterdir())):
        if number >= 3:
            path.unlink()
    (folder / "cat" / "zero.jpg").touch()
    alexnet_json(*BUILD, folder, "--out", out, *QUICK, "--storage", "raw")
    ended = alexnet("records", "info", out)
    assert "1; 1 empty file" in ended.out
    assert "4,096 bytes a record, of which 768 are pixels" in ended.out
    assert "class 'cat' has 12 images and 'dog' 3" in ended.out


def test_duplicates_are_told_with_the_way_out(photos: Path, tmp_path: Path) -> None:
    folder, out = copied(photos, tmp_path / "photos"), tmp_path / "records"
    for number in range(8):
        shutil.copy(folder / "cat" / "00.jpg", folder / "dog" / f"copy{number}.jpg")
    words = (*BUILD, folder, "--out", out, *QUICK)
    ended = alexnet(*words)
    assert ended.code == 0
    (told,) = [line for line in ended.err.splitlines() if line.startswith("dup")]
    assert "8 photos that repeat another" in told
    assert "with different labels: 1)" in told
    assert f"remove one of each pair listed in {out}/duplicates.jsonl" in told
    found = alexnet_json(*words)
    (group,) = (out / "duplicates.jsonl").read_text().splitlines()
    across_splits = len(set(json.loads(group)["splits"])) - 1
    expected = {
        "duplicates": 8,
        "duplicates_across_splits": across_splits,
        "duplicates_with_other_label": 1,
    }
    assert found == {**found, **expected}
    assert ("makes validation too optimistic" in told) == bool(across_splits)
    card = alexnet_json("records", "info", out)
    assert card == {**card, **expected}
    assert told.removeprefix("duplicates: ") in alexnet("records", "info", out).out


@pytest.mark.parametrize("command", ["info", "show"])
def test_a_folder_without_records_is_told_how_to_build_them(
    command: str, tmp_path: Path
) -> None:
    message = failure("records", command, tmp_path)
    assert str(tmp_path) in message
    assert "records build" in message


def test_show_draws_a_sheet(
    built: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = alexnet_json("records", "show", built[0], "--split", "validation")
    shown = {"data": str(built[0]), "split": "validation", "images": 6}
    assert found == {**shown, "out": "sheet.png"}
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"
    words = ("--augment", "article", "--image-size", 40, "--out", "drawn.png")
    found = alexnet_json("records", "show", built[0], *words)
    shown = {"data": str(built[0]), "split": "train", "images": 5}
    assert found == {**shown, "out": "drawn.png"}
    assert (tmp_path / "drawn.png").is_file()


def test_show_names_the_folder_that_is_missing(
    built: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    message = failure("records", "show", built[0], "--out", tmp_path / "no" / "a.png")
    assert message.startswith(f"no such folder: {tmp_path / 'no'}")


def test_an_interrupted_build_says_how_to_go_on_and_does(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "records", tmp_path / "whole"
    words = (*BUILD, photos, *QUICK, "--shards", 3)
    alexnet_json(*words, "--out", whole)

    def write_first(path: Path, records: Any) -> Any:
        if path.name.startswith("train-00001"):
            raise KeyboardInterrupt
        return tfrecord.write_shard(path, records)

    with monkeypatch.context() as patched:
        patched.setattr(shard_contents, "write_shard", write_first)
        ended = alexnet(*words, "--out", out)
    assert ended.code == 130
    assert ended.out == ""
    assert f"finished shards are kept in {out}; run the same command" in ended.err
    assert not (out / "dataset.json").exists()
    (first,) = out.glob("*.tfrecord")
    before = first.stat()
    assert alexnet_json(*words, "--out", out)["splits"]["train"]["num_examples"] == 18
    assert first.stat().st_mtime_ns == before.st_mtime_ns
    assert contents(out) == contents(whole)


@pytest.mark.parametrize(
    "workers",
    [
        "1",
        "2",
    ],
)
def test_ctrl_c_at_a_terminal_ends_a_build_and_its_workers(
    workers: str, photos: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "photos", tmp_path / "records"
    for name in ("cat", "dog"):
        (source / name).mkdir(parents=True)
        for number, photo in enumerate(25 * sorted((photos / name).iterdir())):
            os.link(photo, source / name / f"{number}.jpg")
    words = (*BUILD, source, "--out", out, "--shards", "60", "--workers", workers)
    build = subprocess.Popen(
        [Path(sys.executable).with_name("alexnet"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal's Ctrl-C reaches the workers as well
    )
    first = out / "train-00000-of-00060.tfrecord"
    until = time.monotonic() + 60
    while not first.exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(build.pid, signal.SIGINT)
    printed, said = build.communicate(timeout=300)
    assert build.returncode == 130, said
    assert printed == ""
    assert "run the same command again" in said
    assert "Traceback" not in said
    assert first.is_file()
    assert not (out / "dataset.json").exists()
    assert not list(out.glob(".*.partial"))


PLAN = ("records", "plan")
BRIEF = ("--side", 16, "--seconds", 0.02)


def test_a_plan_is_json(photos: Path, tmp_path: Path) -> None:
    words = (*PLAN, photos, "--out", tmp_path / "records", *BRIEF)
    found = alexnet_json(*words, "--train-images-per-second", 1)
    assert found["source"] == str(photos)
    assert (found["num_images"], found["sample"], found["side"]) == (24, 24, 16)
    assert sorted(found["storages"]) == ["jpeg", "original", "raw", "yuv420"]
    for one in found["storages"].values():
        assert one["bytes"] == round(24 * one["bytes_per_image"])
        assert one["images_per_second"] > 0
        assert one["build_seconds"] > 0
        assert one["fits_disk"] is one["fed"] is True
    assert f"--storage {found['choice']}" in found["advice"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_plan_for_people(photos: Path, tmp_path: Path) -> None:
    ended = alexnet(*PLAN, photos, "--out", tmp_path, *BRIEF, "--sample", 12)
    assert ended.code == 0
    assert "24 images of 2 classes (cat, dog)" in ended.err
    assert f"{photos}: 24 images, 12 tried, at 16 px" in ended.out
    rows = [line.split() for line in ended.out.splitlines()]
    # A page for each of 24 records of 768 bytes of pixels.
    assert any({"raw", "96.0", "4.0", "KiB", "yes", "?"} <= set(row) for row in rows)
    assert "is the fastest that fits" in ended.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sample", 0), "sample is 0; it needs 1 or more photos"),
        (("--side", 4), "side is 4; it needs 8 to 4096 pixels"),
        (("--train-step", "--train-images-per-second", 9), "either is enough"),
    ],
)
def test_a_plan_that_cannot_be_made_is_told(
    words: tuple[object, ...], said: str, photos: Path, tmp_path: Path
) -> None:
    assert said in failure(*PLAN, photos, "--out", tmp_path, *words)


def test_a_plan_names_the_source_that_is_missing(tmp_path: Path) -> None:
    message = failure(*PLAN, tmp_path / "gone")
    assert message.startswith(f"no such folder: {tmp_path / 'gone'}")


def test_beam_builds_the_same_set(
    photos: Path, built: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """From a relative path, which the workers of a runner may not share."""
    source = os.path.relpath(photos)
    beam = ("--runner", "beam", "--beam-options", "--direct_num_workers=1")
    ended = alexnet(
        *BUILD, source, "--out", tmp_path, "--side", STORED_SIDE, *beam, "--json"
    )
    assert ended.code == 0
    found, expected = json.loads(ended.out), built[1]
    assert found["splits"] == expected["splits"]
    assert contents(tmp_path) == contents(built[0])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--beam-options", "--streaming"), "go with --runner beam"),
        (("--runner", "beam", "--beam-options", "'--a"), "No closing quotation"),
    ],
)
def test_beam_options_that_cannot_be_meant(
    photos: Path, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    ended = alexnet(*BUILD, photos, "--out", tmp_path / "records", *options)
    assert ended.code == 2
    assert told in " ".join(ended.err.split())
    assert not (tmp_path / "records").exists()
