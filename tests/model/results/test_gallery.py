"""What stands above an example is what it is, and what was said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from PIL import Image

import alexnet.model.results.gallery
from alexnet.model.results.evaluation import Batch
from alexnet.model.results.gallery import (
    COLORS,
    EXAMPLES,
    Example,
    Gallery,
    confidence,
    plot_examples,
)
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.read.image_folder import open_photos
from alexnet.pipeline.read.opened_records import open_records
from alexnet.pipeline.read.opened_set import OpenedSet
from tests.conftest import NUM_HELD_OUT, TRAIN_SIDE
from tests.pipeline.read.test_lookup import keys_by_hand

NUM = 70
RNG = np.random.default_rng(3)
LABELS, LOGITS = RNG.integers(0, 3, NUM), RNG.normal(size=(NUM, 3))
# An image says which row it is.
IMAGES = np.broadcast_to(
    np.arange(NUM, dtype=np.uint8)[:, None, None, None], (NUM, 2, 2, 3)
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures, in place of their files."""
    figures: list[Figure] = []
    monkeypatch.setattr(
        alexnet.model.results.gallery,
        "save_figure",
        lambda figure, _: figures.append(figure),
    )
    return figures


@pytest.mark.parametrize("batch_size", [1, 16, NUM])
def test_one_pass_keeps_the_chosen_and_the_worst(batch_size: int) -> None:
    wanted = frozenset({0, 17, 18, NUM - 1})
    gallery = Gallery(wanted)
    for start in range(0, NUM, batch_size):
        rows = slice(start, start + batch_size)
        images = tf.constant(IMAGES[rows])
        padded = tf.concat([images, images[:1]], axis=0)
        gallery.add(Batch(padded, LABELS[rows], LOGITS[rows]))
    assert [one.row for one in gallery.chosen] == sorted(wanted)
    odds = np.exp(LOGITS)
    odds /= odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(confidence(LOGITS), odds.max(axis=1))
    wrong = [i for i in range(NUM) if odds[i].argmax() != LABELS[i]]
    worst = sorted(wrong, key=lambda i: -odds[i].max())
    assert len(worst) > EXAMPLES
    assert [one.row for one in gallery.mistakes] == worst[:EXAMPLES]
    for one in (*gallery.chosen, *gallery.mistakes):
        assert (one.image == one.row).all()
        assert (one.label, one.guess) == (LABELS[one.row], odds[one.row].argmax())
        assert one.confidence == pytest.approx(odds[one.row].max())


def captions(figure: Figure) -> list[tuple[Any, ...]]:
    """File, judgement and colour of each caption."""
    titles = [axis.title for axis in figure.axes if axis.get_title()]
    return [(*title.get_text().split("\n"), title.get_color()) for title in titles]


def example(row: int, label: int, guess: int) -> Example:
    image = np.full((TRAIN_SIDE, TRAIN_SIDE, 3), row, np.uint8)
    return Example(row, image, label, guess, 0.751)


def require_captions(drawn: list[Figure], records: OpenedSet, keys: list[str]) -> None:
    examples = [example(7, 0, 1), example(0, 1, 1)]
    plot_examples(examples, records, "validation", Path("out.png"))
    (first, says, wrong), (second, and_says, right) = captions(drawn[0])
    assert [first, second] == [keys[7], keys[0]]
    assert (says, and_says) == ("cat: dog 75%", "dog: dog 75%")
    assert same_color(wrong, COLORS["wrong"])
    assert same_color(right, COLORS["right"])
    (legend,) = drawn[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["right", "wrong"]
    colors = [patch.get_facecolor() for patch in legend.get_patches()]
    assert all(map(same_color, colors, COLORS.values()))


def test_captions_name_the_file_and_judge(
    train_records: Path, drawn: list[Figure]
) -> None:
    keys = keys_by_hand(train_records, "validation")
    assert len(keys) == NUM_HELD_OUT
    require_captions(drawn, open_records(train_records), keys)


def test_captions_name_photos(tmp_path: Path, drawn: list[Figure]) -> None:
    for number in range(40):
        folder = tmp_path / ("cat", "dog")[number % 2]
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (9, 9)).save(folder / f"{number}.png")
    photos = open_photos(tmp_path, BuildConfig(storage="original", side=TRAIN_SIDE))
    keys = [file.key.rpartition("/")[2] for file in photos.files["validation"]]
    require_captions(drawn, photos, keys)


def test_no_examples_are_drawn_as_none(
    train_records: Path, drawn: list[Figure]
) -> None:
    plot_examples([], open_records(train_records), "validation", Path("out.png"))
    assert [text.get_text() for text in drawn[0].texts] == ["none"]
