"""Images that become larger: the stages, and runs that go on across one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.model.results.evaluation import evaluate
from alexnet.model.training import train_step
from alexnet.model.training.fit import fit
from alexnet.model.training.image_sides import make_image_sides
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.augment.augment import augment_batch
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import AugmentConfig, BuildConfig
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.source.scan import scan
from tests.conftest import TINY_RUN, smooth_photo
from tests.model.runs import require_same

STORED, SIDE, LEAST = 108, 99, 67
RISING: dict[str, Any] = {**TINY_RUN, "image_size": SIDE, "progressive_from": LEAST}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("larger")
    photos = folder / "photos"
    photos.mkdir()
    for number in range(32):
        path = photos / f"{('cat', 'dog')[number % 2]}.{number}.png"
        smooth_photo(number, STORED, STORED).save(path)
    config = BuildConfig(storage="raw", side=STORED, shards=1)
    build(scan(photos), folder / "records", config, workers=1)
    return folder / "records"


def sides(epochs: int, **settings: Any) -> list[int]:
    network = NetworkConfig(image_size=settings.pop("image_size", 227))
    train = TrainConfig(epochs=epochs, **settings)
    return [make_image_sides(network, train).of_epoch(n) for n in range(epochs)]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [227] * 8),
        ({"progressive_from": 131}, [131, 131, 163, 163, 195, 195, 227, 227]),
        # The stages end at the image size, and begin at this side or above it.
        ({"progressive_from": 130}, [131, 131, 163, 163, 195, 195, 227, 227]),
        ({"progressive_from": 132}, [163] * 3 + [195] * 3 + [227] * 2),
        ({"progressive_from": 128, "image_size": 160}, [128] * 4 + [160] * 4),
        # As one takes a recipe's progression away.
        ({"progressive_from": 227}, [227] * 8),
    ],
)
def test_stages_are_of_equal_length(
    settings: dict[str, Any], expected: list[int]
) -> None:
    assert sides(8, **settings) == expected


def test_a_short_run_leaves_out_the_smallest_and_ends_at_full_size() -> None:
    assert sides(1, progressive_from=67) == [227]
    assert sides(3, progressive_from=67) == [163, 195, 227]


def test_a_run_in_parts_rises_as_the_whole_one() -> None:
    """As its learning rate falls: by `decay_epochs`."""
    settings = {"progressive_from": 131, "decay_epochs": 8}
    assert sides(3, **settings) == [131, 131, 163]


@pytest.mark.parametrize(
    ("network", "least", "told"),
    [
        (
            {},
            196,
            r"progressive_from is 196; it needs `image_size=227`, or 195 or",
        ),
        (
            {},
            228,
            r"progressive_from is 228; it needs `image_size=227`, or 195 or",
        ),
        ({}, 66, r"progressive_from is 66; it needs 67 pixels or more"),
        (
            {"network": "mine:build"},
            131,
            r"`progressive_from=131` runs .* or give `progressive_from=227`",
        ),
    ],
)
def test_what_cannot_rise_is_refused(
    network: dict[str, Any], least: int, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        make_image_sides(NetworkConfig(**network), TrainConfig(progressive_from=least))


@pytest.mark.slow
def test_a_size_is_traced_once_and_a_run_goes_on_across_one(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    augment = augment_batch

    def note(images: tf.Tensor, config: AugmentConfig, side: int, *rest: Any) -> Any:
        seen.append(side)
        return augment(images, config, side, *rest)

    monkeypatch.setattr(train_step, "augment_batch", note)
    whole, parts = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")
    settings = {**RISING, "epochs": 4, "ema": 0.9, "augment": "trivial"}
    report = fit(records, run=whole, **settings)
    assert seen == [LEAST, SIDE]
    fit(records, run=parts, **{**settings, "epochs": 2, "decay_epochs": 4})
    fit(run=parts, resume=True, epochs=3)
    fit(run=parts, resume=True, epochs=4)
    assert seen == [LEAST, SIDE, LEAST, SIDE, SIDE]
    require_same(parts, whole)
    # Validated at the full size, as it is evaluated.
    scores = evaluate(whole, checkpoint="last").scores
    assert scores.loss == pytest.approx(report.last.val_loss, rel=1e-4)
