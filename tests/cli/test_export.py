"""`alexnet export`: its report; what is served is what is predicted."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageDraw

from alexnet.model.results import export
from alexnet.model.results.export import ExportReport, Format
from tests.cli.conftest import IMAGE_SIZE, alexnet, alexnet_json, failure, parse

Trained = tuple[Path, dict[str, Any]]
NETWORK = f"[batch, {IMAGE_SIZE}, {IMAGE_SIZE}, 3]"


@pytest.mark.slow
def test_json_of_a_saved_model(trained: Trained, tmp_path: Path) -> None:
    out = tmp_path / "saved-model"
    found = alexnet_json("export", trained[0], out, "--checkpoint", "last")
    assert found == {
        "run": str(trained[0]),
        "out": str(out),
        "format": "saved-model",
        "epoch": 2,
        "signatures": {
            "serving_default": "string [batch], the bytes of image files",
            "pixels": "uint8 [batch, height, width, 3], upright RGB",
            "network": f"uint8 {NETWORK}",
        },
        "class_names": ["cat", "dog"],
    }
    assert set(tf.saved_model.load(str(out)).signatures) == set(found["signatures"])


@pytest.mark.parametrize(("to", "levels"), [("keras", "float32"), ("tflite", "uint8")])
def test_json_of_a_file(trained: Trained, tmp_path: Path, to: str, levels: str) -> None:
    out = tmp_path / f"network.{to}"
    found = alexnet_json("export", trained[0], out, "--format", to)
    assert found["format"] == to
    assert found["signatures"] == {"network": f"{levels} {NETWORK}"}
    assert out.stat().st_size > 10_000


def test_it_says_what_is_shown_and_what_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signatures = {"network": f"uint8 {NETWORK}"}
    report = ExportReport("run", "out", "saved-model", 7, signatures, ("cat", "dog"))
    monkeypatch.setattr(export, "export", lambda *_, **__: report)
    ended = alexnet("export", "run", "out")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.splitlines() == [
        "out: saved-model of epoch 7",
        f"  network: uint8 {NETWORK}",
        "It shows JPEG, PNG and 24-bit BMP as `predict` does, and refuses WebP, TIFF,"
        " GIF, HEIC, AVIF, JPEG 2000, CMYK JPEG and other BMP.",
    ]


def test_the_best_checkpoint_is_taken() -> None:
    assert parse(["export", "run", "out"])["checkpoint"] == "best"


def test_a_taken_name_is_refused(trained: Trained, tmp_path: Path) -> None:
    message = failure("export", trained[0], tmp_path)
    assert message.startswith(f"{tmp_path} exists already; choose another name")


def test_the_formats_are_those_of_the_library() -> None:
    for name in get_args(Format):
        assert parse(["export", "run", "out", "--format", name])["format"] == name


# --- what is served, of four classes that tell decoding faults apart


def draw(kind: str, rng: np.random.Generator) -> Image.Image:
    """White or black with a spot, blue over green, or blue beside green."""
    plain = {"white": 235, "black": 20}.get(kind)
    picture = Image.new(
        "RGB", (96, 96), (60, 170, 60) if plain is None else (plain,) * 3
    )
    pen, cut = ImageDraw.Draw(picture), int(rng.integers(40, 56))
    x, y = map(int, rng.integers(20, 60, 2))
    box, colour = {
        "horizon": ((0, 0, 95, cut), (60, 90, 210)),
        "pillar": ((0, 0, cut, 95), (60, 90, 210)),
    }.get(kind, ((x, y, x + 15, y + 15), (200, 60, 60)))
    pen.rectangle(box, colour)
    noisy = np.asarray(picture) + rng.normal(0, 8, (96, 96, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def shapes_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    rng = np.random.default_rng(5)
    for kind in ("white", "black", "horizon", "pillar"):
        (folder / "photos" / kind).mkdir(parents=True)
        for number in range(80):
            draw(kind, rng).save(folder / "photos" / kind / f"{number}.jpg", quality=92)
    records, run = folder / "records", folder / "run"
    alexnet_json("records", "build", folder / "photos", "--out", records, "--side", 96)
    small = "--variant bn --width 0.125 --image-size 83 --batch-size 32".split()
    reached = alexnet_json("fit", records, "--run", run, *small, "--epochs", 6)
    assert reached["validation"]["accuracy"] == 1
    return run


def probes(folder: Path) -> dict[str, str]:
    """Write pictures that serving may show otherwise; their classes by their paths."""
    rng = np.random.default_rng(8)
    made: dict[str, str] = {}

    def put(name: str, kind: str, image: Image.Image, **options: Any) -> None:
        path = folder / name
        image.save(path, **options)
        made[str(path)] = kind

    horizon, pillar, white = (draw(k, rng) for k in ("horizon", "pillar", "white"))
    exif = Image.Exif()
    for order in (1, 6, 8):
        exif[0x112] = order
        turn = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}.get(order)
        stored = horizon if turn is None else horizon.transpose(turn)
        put(f"exif {order}.jpg", "horizon", stored, quality=95, exif=exif)
        put(f"exif {order}.png", "horizon", stored, exif=exif)
    for scale in (3, 8):
        large = pillar.resize((96 * scale, 96 * scale))
        put(f"{scale} times.jpg", "pillar", large, quality=90)
        put(f"{scale} times.png", "pillar", large)
    hidden = Image.new("RGBA", (96, 96), (0, 0, 0, 0))
    hidden.paste((200, 60, 60, 255), (40, 40, 56, 56))
    put("hidden black.png", "white", hidden)
    palette = Image.new("P", (96, 96), 0)
    palette.putpalette([0, 0, 0, 200, 60, 60])
    palette.paste(1, (40, 40, 56, 56))
    put("palette.png", "white", palette, transparency=0)
    deep = np.asarray(white.convert("L")).astype(np.uint16) * 257
    put("16 bits.png", "white", Image.fromarray(deep))
    put("png.jpg", "white", white, format="PNG")
    put("24 bits.bmp", "pillar", pillar)
    return made


def refused(folder: Path) -> dict[str, str]:
    """Write pictures that `predict` alone shows; their kinds by their paths."""
    picture = draw("white", np.random.default_rng(9))
    kinds = {
        "a.webp": "WebP",
        "a.tif": "TIFF",
        "a.gif": "GIF",
        "cmyk.jpg": "CMYK JPEG",
        "alpha.bmp": "BMP that is not of 24 bits",
    }
    modes = {"cmyk.jpg": "CMYK", "alpha.bmp": "RGBA"}
    for name in kinds:
        picture.convert(modes.get(name, "RGB")).save(folder / name)
    return {str(folder / name): kind for name, kind in kinds.items()}


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_what_is_served_is_what_is_predicted(
    shapes_run: Path, tmp_path: Path, checkpoint: str
) -> None:
    shown, unseen = probes(tmp_path), refused(tmp_path)
    which = ("--checkpoint", checkpoint)
    found = alexnet_json("predict", shapes_run, *shown, *unseen, *which)["predictions"]
    alexnet_json("export", shapes_run, tmp_path / "model", *which)
    serve = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    for prediction in found:
        path = prediction["image"]
        data = tf.constant([Path(path).read_bytes()])
        if path in unseen:
            with pytest.raises(tf.errors.InvalidArgumentError, match=unseen[path]):
                serve(images=data)
            continue
        answer = serve(images=data)
        assert answer["class_name"].numpy()[0].decode() == prediction["class_name"]
        assert prediction["class_name"] == shown[path], path
        np.testing.assert_allclose(
            answer["probabilities"][0],
            list(prediction["probabilities"].values()),
            atol=1e-4,
            rtol=0,
        )
