"""Every format of an export answers as evaluation and prediction do."""

from __future__ import annotations

import errno
import io
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from alexnet.model.config import NetworkConfig, Variant
from alexnet.model.network.alexnet import build_network
from alexnet.model.results.evaluation import load_classifier
from alexnet.model.results.export import CONVERTERS, Format, export
from alexnet.model.results.prediction import predict
from alexnet.model.training.classifier import Classifier
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.config import ReadConfig
from alexnet.pipeline.errors import RunError
from alexnet.pipeline.read.dataset import eval_dataset
from alexnet.pipeline.read.opened_records import open_records
from alexnet.pipeline.records.image import ORIENTATION_TAG
from tests.conftest import IMAGE_SIDE, NUM_HELD_OUT, TRAIN_SIDE, slow, smooth_photo

# A file system takes such names; a line is what `str.splitlines` makes of a text.
NAMES = ("two\nlines\rand\u2028more", "not \udcff UTF-8")
LINES = (rb"two\nlines\rand\u2028more", b"not \xff UTF-8")
# The checkpoint that all compare.
WHICH = "last"


@pytest.fixture(scope="module")
def named_run(
    trained_run: RunFolder, tmp_path_factory: pytest.TempPathFactory
) -> RunFolder:
    """The run, as if its class folders had had these names."""
    run = RunFolder(tmp_path_factory.mktemp("named") / "run")
    shutil.copytree(trained_run.path, run.path)
    run.save_config(replace(trained_run.load_config(), class_names=NAMES))
    return run


@pytest.fixture(scope="module")
def saved(named_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "new" / "model"
    export(named_run, out, checkpoint=WHICH)
    return out


@pytest.fixture(scope="module")
def loaded(saved: Path) -> Any:
    return tf.saved_model.load(str(saved))


@pytest.fixture(scope="module")
def images(train_records: Path) -> np.ndarray:
    dataset = eval_dataset(
        open_records(train_records), ReadConfig(batch_size=NUM_HELD_OUT)
    )
    return next(iter(dataset))[0].numpy()


def png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "png")
    return data.getvalue()


def require_evaluations(
    found: dict[str, tf.Tensor], run: RunFolder, images: np.ndarray
) -> None:
    expected = load_classifier(run, WHICH)[0](tf.constant(images)).numpy()
    np.testing.assert_allclose(found["probabilities"].numpy(), expected, atol=1e-5)
    names = [LINES[label] for label in expected.argmax(axis=1)]
    assert found["class_name"].numpy().tolist() == names


@pytest.mark.slow
def test_pixels(trained_run: RunFolder, loaded: Any, images: np.ndarray) -> None:
    found = loaded.signatures["pixels"](images=tf.constant(images))
    require_evaluations(found, trained_run, images)


def test_encoded_images(
    trained_run: RunFolder, loaded: Any, images: np.ndarray
) -> None:
    encoded = tf.constant([png(Image.fromarray(image)) for image in images])
    found = loaded.signatures["serving_default"](images=encoded)
    require_evaluations(found, trained_run, images)


def test_photos_are_answered_as_predicted(
    trained_run: RunFolder, loaded: Any, tmp_path: Path
) -> None:
    """Of any size and kind, to the class and to 1e-4 of the probability."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    smooth_photo(5, 500, 375).save(tmp_path / "large.jpg")
    smooth_photo(6, 150, 100).save(tmp_path / "turned.jpg", exif=exif)
    smooth_photo(7, 30, 90).save(tmp_path / "small.png")
    smooth_photo(8, 72, 72).convert("L").save(tmp_path / "grey.png")
    clear = smooth_photo(9, 90, 80).convert("RGBA")
    clear.putalpha(smooth_photo(10, 90, 80).convert("L"))
    clear.save(tmp_path / "clear.png")
    smooth_photo(11, 80, 200).save(tmp_path / "tall.bmp")
    files = sorted(tmp_path.iterdir())
    report = predict(trained_run, files, checkpoint=WHICH)
    data = tf.constant([path.read_bytes() for path in files])
    found = loaded.signatures["serving_default"](images=data)
    expected = [one.probabilities for one in report.predictions]
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-4, rtol=0)
    names = [LINES[one.label] for one in report.predictions]
    assert found["class_name"].numpy().tolist() == names
    assert np.ptp(expected, axis=0).min() > 1e-3


def test_pixels_of_any_size(
    trained_run: RunFolder, loaded: Any, tmp_path: Path
) -> None:
    photo = smooth_photo(5, 150, 100)
    photo.save(tmp_path / "photo.png")
    found = loaded.signatures["pixels"](images=tf.constant(np.asarray(photo)[None]))
    (expected,) = predict(
        trained_run, [tmp_path / "photo.png"], checkpoint=WHICH
    ).predictions
    np.testing.assert_allclose(
        found["probabilities"], [expected.probabilities], atol=1e-4, rtol=0
    )


def test_a_refused_image_is_named(loaded: Any) -> None:
    photo = smooth_photo(5, 72, 72)
    webp = io.BytesIO()
    photo.save(webp, "WEBP")
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        loaded.signatures["serving_default"](
            images=tf.constant([png(photo), webp.getvalue()])
        )
    assert "image 1: WebP: convert it to JPEG or PNG" in caught.value.message


def test_a_class_is_a_line_whatever_its_name(saved: Path) -> None:
    labels = saved / "assets" / "labels.txt"
    assert labels.read_bytes() == b"".join(line + b"\n" for line in LINES)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
    assert {path.name for path in saved.iterdir()} <= {
        *("assets", "variables", "saved_model.pb", "fingerprint.pb")
    }


# --- files of the network alone


VARIANTS: tuple[Variant, ...] = get_args(Variant)


@cache
def classifier_of(variant: Variant) -> Classifier:
    """Random weights, scaled so that pictures are told apart and none is sure."""
    tf.keras.utils.set_random_seed(4)
    network = build_network(
        NetworkConfig(
            variant=variant, num_classes=4, image_size=IMAGE_SIDE, width=1 / 16
        )
    )
    classifier = Classifier(network, preset("paper"))
    rng = np.random.default_rng(2)
    *weights, kernel, bias = [
        w + rng.uniform(0, 0.3, w.shape) * (w.ndim == 1) for w in network.get_weights()
    ]
    network.set_weights([*weights, kernel, bias])
    logits = classifier.eval_logits(tf.constant(pictures())).numpy()
    mean, spread = logits.mean(axis=0), logits.std(axis=0)
    network.set_weights([*weights, kernel / spread, (bias - mean) / spread])
    return classifier


def pictures() -> np.ndarray:
    sides = (IMAGE_SIDE, IMAGE_SIDE)
    return np.stack([np.asarray(smooth_photo(number, *sides)) for number in range(5)])


@pytest.fixture(
    scope="module",
    params=[name if name == "paper" else slow(name) for name in VARIANTS],
)
def classifier(request: pytest.FixtureRequest) -> Classifier:
    return classifier_of(request.param)


@pytest.fixture
def pixels() -> np.ndarray:
    return pictures()


def answers(classifier: Classifier, pixels: np.ndarray) -> np.ndarray:
    """Keras's own: of a centre crop there is nothing left to crop."""
    return classifier(tf.constant(pixels)).numpy()


def require_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


def test_network_signature(
    trained_run: RunFolder, loaded: Any, images: np.ndarray
) -> None:
    start = (TRAIN_SIDE - IMAGE_SIDE) // 2
    window = slice(start, start + IMAGE_SIDE)
    found = loaded.signatures["network"](images=tf.constant(images[:, window, window]))
    expected = load_classifier(trained_run, WHICH)[0](tf.constant(images))
    require_close(found["probabilities"], expected)


def test_tflite_has_built_in_operations_alone(
    classifier: Classifier, pixels: np.ndarray
) -> None:
    expected = answers(classifier, pixels)
    interpreter = tf.lite.Interpreter(model_content=CONVERTERS["tflite"](classifier))
    operations = {op["op_name"] for op in interpreter._get_ops_details()}
    assert not [name for name in operations if "Flex" in name or "CUSTOM" in name]
    assert interpreter.get_input_details()[0]["shape"].tolist() == [
        1,
        *pixels.shape[1:],
    ]
    run = interpreter.get_signature_runner("network")
    one_by_one = [run(images=image[None])["probabilities"] for image in pixels]
    require_close(np.concatenate(one_by_one), expected)
    require_close(run(images=pixels)["probabilities"], expected)  # it resizes the input


def test_onnx(classifier: Classifier, pixels: np.ndarray) -> None:
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(CONVERTERS["onnx"](classifier))
    for images in (pixels, pixels[:1]):
        (found,) = session.run(["probabilities"], {"images": images})
        require_close(found, answers(classifier, images))


def test_onnx_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(RunError, match=r"pip install 'alexnet\[onnx\]'"):
        CONVERTERS["onnx"](classifier_of("bn"))


FINE_TUNE = """
import sys
sys.modules.update(dict.fromkeys(("model", "pipeline", "cli", "benchmarks")))
import keras
import numpy as np

pixels = np.load("pixels.npy")
for variant in sys.argv[1:]:
    model = keras.models.load_model(f"{variant}.keras")
    np.save(f"{variant}.npy", model.predict(pixels, verbose=0))
    head = keras.layers.Dense(7)(model.layers[-2].output)
    tuned = keras.Model(model.input, head)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    tuned.compile("sgd", loss)
    before = tuned.get_weights()
    tuned.fit(pixels, np.arange(len(pixels)), verbose=0)
    moved = [(a != b).any() for a, b in zip(before, tuned.get_weights())]
    assert all(moved), variant
"""


@pytest.mark.slow
def test_keras_reads_and_trains_the_file_without_code_of_ours(
    pixels: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "pixels.npy", pixels)
    for variant in VARIANTS:
        content = CONVERTERS["keras"](classifier_of(variant))
        (tmp_path / f"{variant}.keras").write_bytes(content)
    words = [sys.executable, "-c", FINE_TUNE, *VARIANTS]
    subprocess.run(words, cwd=tmp_path, check=True)
    for variant in VARIANTS:
        expected = answers(classifier_of(variant), pixels)
        require_close(np.load(tmp_path / f"{variant}.npy"), expected)


# --- writing


@pytest.mark.parametrize("to", get_args(Format))
def test_a_taken_name_is_left_alone(
    to: Format, trained_run: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("mine")
    for out in (tmp_path, tmp_path / "mine"):
        with pytest.raises(RunError, match="exists already; choose another"):
            export(trained_run, out, format=to)
    assert (tmp_path / "mine").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_is_whole_or_absent(
    trained_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new" / "network.bin"
    monkeypatch.setitem(CONVERTERS, "tflite", lambda _: b"a model")
    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="No space left"):
            export(trained_run, out, format="tflite")
    assert list(out.parent.iterdir()) == []
    report = export(trained_run, out, format="tflite", checkpoint=WHICH)
    assert out.read_bytes() == b"a model"
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert report.epoch == trained_run.load_config().train.epochs


def fail(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


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
    def cut_short(exported: Any, folder: str, *_: Any) -> None:
        (Path(folder) / "saved_model.pb").touch()
        fail()

    with monkeypatch.context() as broken:
        broken.setattr(tf.saved_model, "save", cut_short)
        with pytest.raises(OSError, match="No space left"):
            export(trained_run, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
