"""Given splits, from the build to every command that reads a record set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import alexnet, alexnet_json, failure
from tests.conftest import flip, smooth_photo

SPLITS = {"training_set": "train", "validation": "validation", "test_set": "test"}
EACH = 6


@pytest.fixture(scope="module")
def split_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folders of splits with the same two classes, all pictures different."""
    folder = tmp_path_factory.mktemp("splits")
    for number in range(2 * EACH * len(SPLITS)):
        split = list(SPLITS)[number % 3]
        place = folder / split / ("cats" if number % 2 else "dogs")
        place.mkdir(parents=True, exist_ok=True)
        smooth_photo(number, 40, 30).save(place / f"{number}.jpg")
    return folder


@pytest.fixture(scope="module")
def records(split_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "records"
    words = (
        "records",
        "build",
        split_photos,
        "--out",
        out,
        "--side",
        72,
        "--workers",
        1,
    )
    found = alexnet_json(*words)
    assert found["class_names"] == ["cats", "dogs"]
    counts = {name: one["num_examples"] for name, one in found["splits"].items()}
    assert counts == dict.fromkeys(SPLITS.values(), 2 * EACH)
    return out


def test_the_splits_are_those_of_the_folders(records: Path) -> None:
    found = alexnet_json("records", "info", records)
    assert set(found["splits"]) == set(SPLITS.values())
    assert found["splits"]["test"]["class_counts"] == [EACH, EACH]
    card = json.loads((records / "dataset_info.json").read_text())
    assert {split["name"] for split in card["splits"]} == set(SPLITS.values())


def test_a_test_shard_is_verified_and_mended(records: Path, split_photos: Path) -> None:
    assert alexnet_json("records", "verify", records)["num_examples"] == 36
    shard = records / "test-00000-of-00001.tfrecord"
    before = shard.read_bytes()
    flip(shard, len(before) // 2)
    words = ("records", "verify", records, "--repair", "--source", split_photos)
    found = alexnet_json(*words)
    assert found["repaired"] == [shard.name]
    assert shard.read_bytes() == before


def test_a_sheet_shows_the_test_split(records: Path, tmp_path: Path) -> None:
    words = ("--split", "test", "--out", tmp_path / "sheet.png")
    found = alexnet_json("records", "show", records, *words)
    assert found["images"] == 2 * EACH


@pytest.mark.slow
def test_a_network_is_evaluated_on_the_test_split(
    records: Path, tmp_path: Path
) -> None:
    small = ("--width", 1 / 16, "--image-size", 67, "--variant", "bn")
    run = tmp_path / "run"
    alexnet_json("fit", records, "--run", run, "--epochs", 1, "--batch-size", 4, *small)
    found = alexnet_json("evaluate", run, "--split", "test")
    assert (found["split"], found["num_examples"]) == ("test", 2 * EACH)
    assert alexnet_json("evaluate", run)["split"] == "validation"
    assert alexnet_json("evaluate", run, "--split", "all")["num_examples"] == 36


def test_a_set_without_a_test_split_says_so(
    built: tuple[Path, object], tmp_path: Path
) -> None:
    message = failure("records", "show", built[0], "--split", "test")
    assert "have no test examples" in message


def test_unlabelled_test_photos_are_named_with_what_predicts_them(
    tmp_path: Path,
) -> None:
    source = tmp_path / "kaggle"
    for number in range(8):
        for name in (f"train/cat.{number}.jpg", f"train/dog.{number}.jpg"):
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            smooth_photo(number + 100 * ("dog" in name), 30, 40).save(path)
        path = source / "test1" / f"{number + 1}.jpg"
        path.parent.mkdir(exist_ok=True)
        smooth_photo(number + 200, 30, 40).save(path)
    (source / "sampleSubmission.csv").write_text("id,label\n1,0\n")
    words = ("records", "build", source, "--out", tmp_path / "out", "--workers", 1)
    ended = alexnet(*words, "--side", 16)
    assert ended.code == 0
    assert "8 images in test1/" in ended.err
    assert f"alexnet predict RUN {source}/test1 --csv submission.csv" in ended.err


@pytest.mark.parametrize(("folder", "named"), [("", ""), ("all/", "/all")])
def test_unlabelled_rows_of_a_table_are_named_by_their_folder(
    tmp_path: Path, folder: str, named: str
) -> None:
    """Never by the root of all files, nor by a path below the table."""
    (tmp_path / folder).mkdir(exist_ok=True)
    rows = ["filename,label,split", f"{folder}8.jpg,,test"]
    for number in range(8):
        rows.append(f"{folder}{number}.jpg,{'ab'[number % 2]},train")
    for number in range(9):
        smooth_photo(number, 30, 40).save(tmp_path / folder / f"{number}.jpg")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(rows))
    words = ("records", "build", table, "--out", tmp_path / "out", "--workers", 1)
    ended = alexnet(*words, "--side", 16)
    assert ended.code == 0
    assert f"alexnet predict RUN {tmp_path}{named} --csv" in ended.err
