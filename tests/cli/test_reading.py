"""What `alexnet fit` reads: every storage in every way, images as they are, damage."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from alexnet.model.training import training
from alexnet.pipeline.config import StorageName
from tests.cli.conftest import SMALL, STORED_SIDE, alexnet, alexnet_json, failure
from tests.conftest import flip, slow

Built = tuple[Path, dict[str, Any]]
Trained = tuple[Path, dict[str, Any]]


def second_record(shard: Path) -> int:
    """Where a shard's second record starts: behind a header, data and a checksum."""
    return 12 + int.from_bytes(shard.read_bytes()[:8], "little") + 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("storage", "reader"),
    [("yuv420", "auto"), ("raw", "stream"), ("original", "auto")],
)
def test_every_storage_is_trained_on_and_evaluated(
    photos: Path, tmp_path: Path, storage: StorageName, reader: str
) -> None:
    records, run = tmp_path / "records", tmp_path / "run"
    words = ("--storage", storage, "--side", STORED_SIDE, "--workers", 1)
    alexnet_json("records", "build", photos, "--out", records, *words)
    more = ("--epochs", 1, "--reader", reader, *SMALL)
    found = alexnet_json("fit", records, "--run", run, *more)
    assert (found["epochs"], found["step"]) == (1, 2)
    evaluated = alexnet_json("evaluate", run)
    assert evaluated["num_examples"] == 6
    assert evaluated["loss"] == pytest.approx(found["validation"]["loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("auto", "reader mmap: the records are jpeg on "),
        ("stream", "reader stream: it was asked for"),
    ],
)
def test_verbose_tells_which_reader_it_is_and_why(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, said: str
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupted)
    words = ("fit", built[0], "--run", tmp_path / "run", "--reader", asked, *SMALL)
    assert said in alexnet(*words, "-v").err
    assert "reader" not in alexnet(*words).err


def test_a_reader_that_cannot_is_told(photos: Path, tmp_path: Path) -> None:
    records = tmp_path / "records"
    words = ("--storage", "original", "--workers", 1, "--out", records)
    alexnet_json("records", "build", photos, *words)
    more = ("--run", tmp_path / "run", "--reader", "mmap", *SMALL)
    message = failure("fit", records, *more)
    assert f"--reader mmap cannot read {records}" in message
    assert "--reader stream" in message
    message = failure("fit", photos, *more)
    assert "--reader mmap" in message
    assert "alexnet records build" in message
    assert not (tmp_path / "run").exists()


# --- images as they are


@pytest.mark.slow
def test_fit_and_evaluate_on_a_folder_of_images(photos: Path, tmp_path: Path) -> None:
    run, records = tmp_path / "run", tmp_path / "records"
    found = alexnet_json("fit", photos, "--run", run, "--epochs", 1, *SMALL)
    assert (found["epochs"], found["step"]) == (1, 2)
    # Where the images are is the run's to know.
    evaluated = alexnet_json("evaluate", run)
    assert evaluated["num_examples"] == 6
    assert evaluated["loss"] == pytest.approx(found["validation"]["loss"], rel=1e-4)
    # Records of the originals hold the same pixels in the same splits.
    words = ("--storage", "original", "--workers", 1, "--out", records)
    alexnet_json("records", "build", photos, *words)
    same = alexnet_json("evaluate", run, records, "--split", "validation")
    for name in ("num_examples", "loss", "confusion"):
        assert same[name] == evaluated[name]
    assert alexnet_json("evaluate", run, photos) == evaluated
    assert alexnet_json("evaluate", run, "--split", "all")["num_examples"] == 24


def test_a_broken_photo_ends_fit_by_its_name(photos: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(photos, tmp_path / "photos"))
    for photo in (folder / "cat").iterdir():
        photo.write_text("not a photo")
    message = failure("fit", folder, "--run", tmp_path / "run", *SMALL)
    assert message.startswith(f"{folder / 'cat'}/")
    assert ".jpg cannot be used: not an image of a known format" in message
    assert "alexnet records build" in message
    assert len(message.splitlines()) == 1


# --- damage


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["mmap", "stream"])
def test_a_rotten_shard_ends_fit_and_the_run_goes_on_when_it_is_mended(
    built: Built, trained: Trained, tmp_path: Path, reader: str
) -> None:
    records = Path(shutil.copytree(built[0], tmp_path / "records"))
    run = tmp_path / "run"
    words = ("--run", run, "--reader", reader, *SMALL, "--decay-epochs", 2)
    alexnet_json("fit", records, *words, "--epochs", 1)
    (shard,) = records.glob("train-*.tfrecord")
    start = second_record(shard)
    flip(shard, start + 100)
    message = failure("fit", "--run", run, "--resume", "--epochs", 2)
    assert f"{shard} is damaged at record 1, byte {start}." in message
    assert f"alexnet fit --run {run} --resume" in message
    flip(shard, start + 100)
    resumed = alexnet_json("fit", "--run", run, "--resume", "--epochs", 2)
    assert (resumed["epochs"], resumed["step"]) == (2, 4)
    if reader == "mmap":  # as `trained` was, whose epochs have another order otherwise
        assert resumed["train"] == trained[1]["train"]


@pytest.mark.parametrize("storage", ["jpeg", slow("original")])
def test_a_rotten_shard_is_named_by_whatever_reads_it(
    photos: Path, trained: Trained, tmp_path: Path, storage: StorageName
) -> None:
    records = tmp_path / "records"
    words = ("--storage", storage, "--side", STORED_SIDE, "--workers", 1)
    alexnet_json("records", "build", photos, "--out", records, *words)
    for split in ("train", "validation"):
        (shard,) = records.glob(f"{split}-*.tfrecord")
        flip(shard, second_record(shard) + 100)
    brief = ("--seconds", 0.02, "--batch-size", 6, "--image-size", 67)
    for command in (
        ("evaluate", trained[0], records),
        ("records", "show", records, "--out", tmp_path / "sheet.png"),
        ("bench", "input-pipeline", records, "--no-train-step", *brief),
    ):
        message = failure(*command)
        assert "-of-00001.tfrecord is damaged at record 1, byte " in message
        assert f"alexnet records verify {records} --repair" in message


@pytest.mark.slow
def test_rotten_pixels_end_fit_before_its_first_step(
    photos: Path, tmp_path: Path
) -> None:
    records, run = tmp_path / "records", tmp_path / "run"
    words = ("--storage", "raw", "--side", STORED_SIDE, "--workers", 1)
    alexnet_json("records", "build", photos, "--out", records, *words)
    (shard,) = records.glob("validation-*.tfrecord")
    start = second_record(shard)
    flip(shard, start + 5000)
    message = failure("fit", records, "--run", run, "--epochs", 1, *SMALL)
    assert f"{shard} is damaged at record 1, byte {start}." in message
    assert f"alexnet fit --run {run} --resume" in message
