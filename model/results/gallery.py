"""Examples with what a network says of them: some at random, and its worst mistakes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from alexnet.model.results.evaluation import Batch
from alexnet.pipeline.inspect.contact_sheet import (
    CAPTION_SIGNS,
    draw_grid,
    to_rgb_images,
)
from alexnet.pipeline.pictures import legible, save_figure
from alexnet.pipeline.read.opened_set import OpenedSet

EXAMPLES, COLUMNS = 24, 8
LEGEND_INCHES = 0.7
# Apart also for those who do not tell red from green.
COLORS = {"right": "C0", "wrong": "C3"}


@dataclass(frozen=True)
class Example:
    """An example of a split and what the network says of it; `row` is its number."""

    row: int
    image: np.ndarray  # uint8, as it is stored
    label: int
    guess: int
    confidence: float

    @property
    def verdict(self) -> str:
        """Name in COLORS."""
        return "right" if self.guess == self.label else "wrong"


@dataclass
class Gallery:
    """The examples to show of a split, kept while it is read through once."""

    wanted: frozenset[int]
    chosen: list[Example] = field(default_factory=list)
    mistakes: list[Example] = field(default_factory=list)
    num_seen: int = 0

    def add(self, batch: Batch) -> None:
        """Keep those that are wanted, and the most confident mistakes so far."""
        sure = confidence(batch.logits)
        guesses = batch.logits.argmax(axis=1)

        def example(place: int) -> Example:
            image = batch.images[place].numpy()
            label, guess = int(batch.labels[place]), int(guesses[place])
            row = self.num_seen + place
            return Example(row, image, label, guess, float(sure[place]))

        wrong = np.flatnonzero(guesses != batch.labels)
        worst = wrong[np.argsort(-sure[wrong], kind="stable")][:EXAMPLES]
        candidates = [*self.mistakes, *(example(place) for place in worst.tolist())]
        self.mistakes = sorted(candidates, key=lambda one: -one.confidence)[:EXAMPLES]
        places = range(len(batch.labels))
        self.chosen += [
            example(place) for place in places if self.num_seen + place in self.wanted
        ]
        self.num_seen += len(batch.labels)


def confidence(logits: np.ndarray) -> np.ndarray:
    """Probability of the likeliest class, float32 [examples]."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds.max(axis=1) / odds.sum(axis=1))


def plot_examples(
    examples: list[Example], records: OpenedSet, split: str, path: Path
) -> None:
    """Draw examples with their files, true classes and what is said of them."""
    if not examples:
        return _draw_none(path)
    keys = records.keys(split, [example.row for example in examples])
    captions = [
        _caption(example, key, records.manifest.class_names)
        for example, key in zip(examples, keys, strict=True)
    ]
    images = to_rgb_images(np.stack([example.image for example in examples]))
    colors = [COLORS[example.verdict] for example in examples]
    figure = draw_grid(images, captions, COLUMNS, colors=colors)
    figure.set_figheight(figure.get_figheight() + LEGEND_INCHES)
    figure.legend(
        handles=[Patch(color=color, label=name) for name, color in COLORS.items()],
        title="file / true class: predicted class, its probability",
        ncols=2,
        loc="outside upper center",
        borderaxespad=0,
        frameon=False,
    )
    return save_figure(figure, path)


def _caption(example: Example, key: str, names: tuple[str, ...]) -> str:
    file = legible(PurePosixPath(key).name, CAPTION_SIGNS)
    sure = f"{example.confidence:.0%}"
    room = (CAPTION_SIGNS - len(sure)) // 2 - 1
    true, guess = (legible(names[i], room) for i in (example.label, example.guess))
    return f"{file}\n{true}: {guess} {sure}"


def _draw_none(path: Path) -> None:
    figure = Figure(figsize=(4, 1))
    figure.text(0.5, 0.5, "none", ha="center", va="center")
    save_figure(figure, path)
