"""A reloaded SavedModel says what evaluation says."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from model.evaluation import load_classifier
from model.export import export
from model.run import RunFolder
from pipeline.config import ReadConfig
from pipeline.dataset import eval_dataset
from pipeline.errors import RunError
from pipeline.reader import open_records
from tests.conftest import NUM_HELD_OUT, smooth_photo


@pytest.fixture(scope="module")
def saved(trained_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "new" / "model"
    export(trained_run, out)
    return out


@pytest.fixture(scope="module")
def loaded(saved: Path) -> Any:
    return tf.saved_model.load(str(saved))


@pytest.fixture(scope="module")
def images(train_records: Path) -> np.ndarray:
    dataset = eval_dataset(open_records(train_records), ReadConfig(NUM_HELD_OUT))
    return next(iter(dataset))[0].numpy()


def png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "png")
    return data.getvalue()


def require_evaluations(
    found: dict[str, tf.Tensor], run: RunFolder, images: np.ndarray
) -> None:
    expected = load_classifier(run)[0](tf.constant(images)).numpy()
    np.testing.assert_allclose(found["probabilities"].numpy(), expected, atol=1e-5)
    names = [(b"cat", b"dog")[label] for label in expected.argmax(axis=1)]
    assert found["class_name"].numpy().tolist() == names


def test_pixels(trained_run: RunFolder, loaded: Any, images: np.ndarray) -> None:
    found = loaded.signatures["pixels"](images=tf.constant(images))
    require_evaluations(found, trained_run, images)


def test_encoded_images(
    trained_run: RunFolder, loaded: Any, images: np.ndarray
) -> None:
    encoded = tf.constant([png(Image.fromarray(image)) for image in images])
    found = loaded.signatures["serving_default"](images=encoded)
    require_evaluations(found, trained_run, images)


def test_images_of_other_sizes_are_cut_and_scaled(
    trained_run: RunFolder, loaded: Any
) -> None:
    photos = [smooth_photo(5, 150, 100), smooth_photo(6, 80, 200)]
    squares = [
        photo.resize((72, 72), Image.Resampling.BICUBIC, box=box)
        for photo, box in zip(
            photos, [(25, 0, 125, 100), (0, 60, 80, 140)], strict=True
        )
    ]
    expected = load_classifier(trained_run)[0](
        np.stack([np.asarray(square) for square in squares])
    ).numpy()
    encoded = tf.constant([png(photo) for photo in photos])
    found = loaded.signatures["serving_default"](images=encoded)[
        "probabilities"
    ].numpy()
    np.testing.assert_allclose(found, expected, atol=0.02)
    for photo, alone in zip(photos, found, strict=True):
        pixels = tf.constant(np.asarray(photo)[None])
        again = loaded.signatures["pixels"](images=pixels)["probabilities"].numpy()
        np.testing.assert_allclose(again, [alone], atol=1e-6)


def test_grey_pictures_are_served(loaded: Any) -> None:
    grey = smooth_photo(5, 72, 72).convert("L")
    found = loaded.signatures["serving_default"](
        images=tf.constant([png(grey), png(grey.convert("RGB"))])
    )
    first, second = found["probabilities"].numpy()
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_class_names_travel_along(saved: Path) -> None:
    assert (saved / "assets" / "labels.txt").read_text("utf-8") == "cat\ndog\n"
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
    assert {path.name for path in saved.iterdir()} <= {
        *("assets", "variables", "saved_model.pb", "fingerprint.pb")
    }


def test_a_taken_folder_is_left_alone(trained_run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="exists already; choose another"):
        export(trained_run, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_run_without_a_checkpoint_writes_nothing(
    trained_run: RunFolder, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    run.save_config(trained_run.load_config())
    with pytest.raises(RunError, match="holds no checkpoint yet"):
        export(run, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_failure_leaves_no_model_behind(
    trained_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(exported: Any, folder: str, *_: Any) -> None:
        (Path(folder) / "saved_model.pb").touch()
        raise OSError("No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(tf.saved_model, "save", fail)
        with pytest.raises(OSError, match="No space left"):
            export(trained_run, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
