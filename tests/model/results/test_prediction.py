"""Images in, and out come the evaluation's probabilities, or a reason."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.model.results.evaluation import classify, load_classifier
from alexnet.model.results.prediction import (
    BATCH,
    Prediction,
    PredictionReport,
    name_images,
    predict,
)
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.config import ReadConfig
from alexnet.pipeline.errors import DataError, RunError
from alexnet.pipeline.read.dataset import eval_dataset
from alexnet.pipeline.read.opened_records import open_records
from alexnet.pipeline.records.image import to_square
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.source.image_items import find_images
from tests.conftest import NUM_HELD_OUT, smooth_photo
from tests.remote import upload

CAT = Prediction("in/7.jpg", "7", (0.75, 0.25))
DOG = Prediction("in/b.c.jpg", "b.c.jpg", (0.125, 0.875))
BAD = Prediction("in/bad.jpg", "bad.jpg", error="empty file")


def report_of(
    *predictions: Prediction, names: tuple[str, ...] = ("cat", "dog")
) -> PredictionReport:
    return PredictionReport("best", 3, names, predictions)


@pytest.fixture
def held_out(train_records: Path, tmp_path: Path) -> list[Path]:
    """The held-out records' pixels as PNG files, in their order."""
    dataset = eval_dataset(
        open_records(train_records), ReadConfig(batch_size=NUM_HELD_OUT)
    )
    ((images, _, _),) = list(dataset)
    paths = [tmp_path / f"{number:02d}.png" for number in range(NUM_HELD_OUT)]
    for path, image in zip(paths, images.numpy(), strict=True):
        Image.fromarray(image).save(path)
    return paths


def test_the_evaluations_probabilities(
    trained_run: RunFolder, train_records: Path, held_out: list[Path]
) -> None:
    classifier, _ = load_classifier(trained_run)
    records = open_records(train_records)
    batches = classify(classifier, records, ["validation"], 4)
    logits = np.concatenate([batch.logits for batch in batches])
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    report = predict(trained_run, held_out)
    found = [one.probabilities for one in report.predictions]
    expected = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    labels = [one.label for one in report.predictions]
    np.testing.assert_array_equal(labels, logits.argmax(axis=1))


def test_bad_images_are_reported_in_their_places(
    trained_run: RunFolder, held_out: list[Path], tmp_path: Path
) -> None:
    empty, text, gone = (tmp_path / f"{name}.jpg" for name in ("empty", "text", "gone"))
    empty.touch()
    text.write_text("no picture")
    gone.symlink_to("nowhere")
    images = [empty, held_out[0], text, gone, held_out[1]]
    told: list[tuple[int, int]] = []
    report = predict(trained_run, images, progress=lambda *counts: told.append(counts))
    assert [one.image for one in report.predictions] == list(map(str, images))
    reasons = [one.error for one in report.predictions]
    assert reasons[0] == "empty file"
    assert reasons[1] is reasons[4] is None
    assert "not an image" in str(reasons[2])
    assert "No such file" in str(reasons[3])
    assert [one.image for one in report.failed] == [str(empty), str(text), str(gone)]
    good = predict(trained_run, [held_out[1]]).predictions[0]
    np.testing.assert_allclose(
        report.predictions[4].probabilities, good.probabilities, atol=1e-6
    )
    assert told == [(5, 5)]


@pytest.mark.slow
def test_tables_and_patterns_at_urls_give_what_they_give_here(
    trained_run: RunFolder, held_out: list[Path], tmp_path: Path, bucket: Location
) -> None:
    table = "filename\n07.png\ngone.png\n02\n"
    (tmp_path / "some.csv").write_text(table)
    there = upload(tmp_path, bucket / "test")
    for name in ("some.csv", "0[3-5].png"):
        here = predict(trained_run, tmp_path / name)
        found = predict(trained_run, there / name)
        assert len(here.failed) == (name == "some.csv")
        assert [
            replace(one, image=one.image.replace(str(there), str(tmp_path)))
            for one in found.predictions
        ] == list(here.predictions)


def test_only_bad_images(trained_run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    report = predict(trained_run, [tmp_path])
    assert len(report.failed) == len(report.predictions) == 1


def test_more_images_than_a_batch_and_photos_of_any_size(
    trained_run: RunFolder, tmp_path: Path
) -> None:
    wide = smooth_photo(3, 130, 90)
    wide.save(tmp_path / "wide.png")
    images = [tmp_path / "wide.png"] * (BATCH + 1)
    predictions = predict(trained_run, images).predictions
    assert len(predictions) == BATCH + 1
    to_square(wide, 72, "crop").save(tmp_path / "square.png")
    (expected,) = predict(trained_run, [tmp_path / "square.png"]).predictions
    for one in (predictions[0], predictions[-1]):
        np.testing.assert_allclose(one.probabilities, expected.probabilities, atol=1e-5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "deep/er/c.jpeg", "notes.txt", "deep/d.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "none").mkdir()
    return tmp_path


def paths(*asked: Path) -> list[Path]:
    return [Path(item.name) for item in find_images(asked)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (["."], ["a.PNG", "b.jpg", "deep/er/c.jpeg"]),
        (["deep"], ["deep/er/c.jpeg"]),
        (["b.jpg", "a.PNG"], ["b.jpg", "a.PNG"]),
        (["notes.txt"], ["notes.txt"]),
        (["*.jpg"], ["b.jpg"]),
        (["**.jpg"], ["b.jpg"]),
        (["**/*.jp*g"], ["b.jpg", "deep/er/c.jpeg"]),
    ],
)
@pytest.mark.parametrize("is_absolute", [True, False])
def test_files_folders_and_patterns(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: list[str],
    found: list[str],
    is_absolute: bool,
) -> None:
    monkeypatch.chdir(folder)
    base = folder if is_absolute else Path()
    assert paths(*(base / name for name in asked)) == [base / name for name in found]


def test_a_folders_hidden_files_are_none_of_its_images(folder: Path) -> None:
    for name in ("._b.jpg", "deep/.d.jpg", "__MACOSX/b.jpg", ".thumbs/b.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    names = ["a.PNG", "b.jpg", "deep/er/c.jpeg"]
    assert paths(folder) == [folder / name for name in names]
    asked = [folder / ".thumbs", folder / "._b.jpg"]
    assert paths(*asked) == [folder / ".thumbs" / "b.jpg", asked[1]]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("*.gif", "no file fits"),
        ("none", "no images in"),
    ],
)
def test_a_path_that_names_nothing(folder: Path, name: str, what: str) -> None:
    with pytest.raises(DataError, match=what) as error:
        paths(folder / "b.jpg", folder / name)
    assert str(folder / name) in str(error.value)


def test_a_run_that_is_none_is_told_first(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder"):
        predict(RunFolder(tmp_path / "gone"), [tmp_path / "gone.jpg"])


def test_the_reports_json() -> None:
    assert json.loads(json.dumps(report_of(CAT, BAD, DOG).to_json())) == {
        "checkpoint": "best",
        "epoch": 3,
        "predictions": [
            {
                "image": "in/7.jpg",
                "class_name": "cat",
                "probability": 0.75,
                "probabilities": {"cat": 0.75, "dog": 0.25},
            },
            {"image": "in/bad.jpg", "error": "empty file"},
            {
                "image": "in/b.c.jpg",
                "class_name": "dog",
                "probability": 0.875,
                "probabilities": {"cat": 0.125, "dog": 0.875},
            },
        ],
    }


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_kaggles_form_for_two_classes(tmp_path: Path) -> None:
    assert report_of(CAT, BAD, DOG).save_csv(tmp_path / "out.csv") == 2
    assert rows(tmp_path / "out.csv") == [
        ["id", "label"],
        ["7", "0.25"],
        ["b.c.jpg", "0.875"],
    ]


def test_an_image_named_twice_has_one_line(tmp_path: Path) -> None:
    assert report_of(CAT, DOG, CAT).save_csv(tmp_path / "out.csv") == 2
    assert [row[0] for row in rows(tmp_path / "out.csv")] == ["id", "7", "b.c.jpg"]


def test_a_folder_of_numbers_is_sorted_as_such(
    trained_run: RunFolder, tmp_path: Path
) -> None:
    for number in (1, 2, 10, 100):
        smooth_photo(number, 72, 72).save(tmp_path / f"{number}.png")
    predict(trained_run, [tmp_path]).save_csv(tmp_path / "out.csv")
    ids = [row[0] for row in rows(tmp_path / "out.csv")]
    assert ids == ["id", "1", "2", "10", "100"]


def test_classes_are_counted() -> None:
    assert report_of(CAT, BAD, DOG, CAT).class_counts == {"cat": 2, "dog": 1}


def test_an_image_keeps_a_name_that_is_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    report_of(Prediction(name, name, CAT.probabilities)).save_csv(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes().split() == [
        *(b"id,label", b"caf\xe9.jpg,0.25")
    ]


def test_a_column_a_class_for_more(tmp_path: Path) -> None:
    one = Prediction("x.png", "x.png", (0.5, 0.25, 0.25))
    names = ("cat", "dog", "owl, big")
    report_of(one, names=names).save_csv(tmp_path / "out.csv")
    assert rows(tmp_path / "out.csv") == [
        ["id", "cat", "dog", "owl, big"],
        ["x.png", "0.5", "0.25", "0.25"],
    ]


@pytest.mark.parametrize(
    ("files", "ids"),
    [
        (["test/42.jpg", "test/7.jpg"], ["42", "7"]),
        (["42.jpg"], ["42"]),
        (["a/1.jpg", "b/1.jpg"], ["a/1", "b/1"]),
        (["a/1.jpg", "b/2.jpg"], ["1", "2"]),
        (["a/x.jpg", "b/x.jpg", "b/3.jpg"], ["a/x.jpg", "b/x.jpg", "b/3"]),
        (["in/a/1.jpg", "in/a/b/1.jpg"], ["1", "b/1"]),
        (["a/1.jpg", "a/1.png", "b/2.png"], ["a/1.jpg", "a/1.png", "b/2"]),
        (["in/1.jpg", "in/1.png", "in/2.png"], ["1.jpg", "1.png", "2"]),
        (["in/1", "in/1.jpg"], ["1", "1.jpg"]),
        (["in/cat.1.jpg", "in/cat.1.png"], ["cat.1.jpg", "cat.1.png"]),
        (["in/1.jpg", "in/1.jpg"], ["1", "1"]),
    ],
)
@pytest.mark.parametrize("is_absolute", [True, False])
def test_files_that_differ_have_different_ids(
    files: list[str], ids: list[str], is_absolute: bool
) -> None:
    base = Path("/photos") if is_absolute else Path()
    named = name_images(list(find_images(base / file for file in files)))
    assert [one.id for one in named] == ids
    assert [one.name for one in named] == [str(base / file) for file in files]


@pytest.mark.slow
def test_two_folders_with_the_same_names_are_told_apart(
    trained_run: RunFolder, tmp_path: Path
) -> None:
    for place in ("a/1.png", "b/1.png"):
        (tmp_path / place).parent.mkdir()
        smooth_photo(3, 90, 90).save(tmp_path / place)
    report = predict(trained_run, [tmp_path / "a", tmp_path / "b"])
    report.save_csv(tmp_path / "out.csv")
    assert [row[0] for row in rows(tmp_path / "out.csv")] == ["id", "a/1", "b/1"]


def test_it_says_which_state_it_used(trained_run: RunFolder, tmp_path: Path) -> None:
    smooth_photo(3, 90, 90).save(tmp_path / "1.png")
    history = trained_run.load_history()
    best = max(history, key=lambda one: one.val_accuracy or 0).epoch
    for which, epoch in (("best", best), ("last", 2)):
        report = predict(trained_run, [tmp_path / "1.png"], checkpoint=which)
        assert (report.checkpoint, report.epoch) == (which, epoch)
