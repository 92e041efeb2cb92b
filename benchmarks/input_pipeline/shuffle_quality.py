"""Shuffle quality: how near an epoch's order comes to a uniform permutation.

Labels and stored positions are collected from the stages that training composes, in the
order in which they come; a permutation of which every order is as likely as any other
comes to about 1 in both figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from alexnet.pipeline.read.stage import Epoch, EpochStage, Stage, compose

# More examples than these make the figures no steadier.
MAX_EXAMPLES = 20_000
# Permutations drawn for an interval: its ends are steady to some 2 % of its width.
PERMUTATIONS = 1000
INTERVAL = (0.025, 0.975)


@dataclass(frozen=True)
class ShuffleQuality:
    """1 is what a uniform permutation comes to; None where it cannot be told.

    `class_mixing` is how much the classes' counts vary from batch to batch: above 1
    classes come in runs, below 1 more evenly than by chance. Of uniform permutations
    95 % come to within `class_mixing_interval`. `displacement` is how far examples come
    from where they are stored: 0 is the stored order.
    """

    class_mixing: float | None
    class_mixing_interval: tuple[float, float] | None
    displacement: float | None


def measure_shuffle(
    stages: Sequence[Stage], batch_size: int, num_examples: int
) -> ShuffleQuality:
    """The quality of the first epoch, by its first examples."""
    count = min(MAX_EXAMPLES, num_examples) // batch_size * batch_size
    labels = delivered_labels(stages, count)
    positions = delivered_positions(stages, count, num_examples)
    return ShuffleQuality(
        class_mixing(labels, batch_size),
        class_mixing_interval(labels, batch_size),
        displacement(positions, num_examples),
    )


def delivered_labels(stages: Sequence[Stage], count: int) -> np.ndarray:
    """int64 [count]: the first labels, from the first stage that yields them."""
    prefixes = (compose(stages[:length]) for length in range(1, len(stages) + 1))
    labelled = (d for d in prefixes if len(tf.nest.flatten(d.element_spec)) > 1)
    return _collect(next(labelled), count)


def delivered_positions(
    stages: Sequence[Stage], count: int, num_examples: int
) -> np.ndarray:
    """int [count]: the first examples' places in the order in which they are read.

    Rows of mapped shards are such places. Streamed records do not tell theirs, so
    numbers go through the shuffle in their stead.
    """
    first = compose(stages[:1])
    if first.element_spec.dtype != tf.string:
        return _collect(first, count)

    def numbers(_: tf.data.Dataset, epoch: Epoch) -> tf.data.Dataset:
        return tf.data.Dataset.range(num_examples)

    shuffle = [stage.name for stage in stages].index("shuffle")
    numbered = [EpochStage("read", numbers), *stages[1 : shuffle + 1]]
    return _collect(compose(numbered), count)


def _collect(dataset: tf.data.Dataset, count: int) -> np.ndarray:
    """The last components of the first `count` examples, one after another."""
    parts: list[np.ndarray] = []
    collected = 0
    for element in dataset:
        parts.append(np.ravel(tf.nest.flatten(element)[-1]))
        collected += len(parts[-1])
        if collected >= count:
            break
    return np.asarray(np.concatenate(parts)[:count])


def class_mixing(labels: np.ndarray, batch_size: int) -> float | None:
    """The variance of the batches' class counts, over that of a uniform permutation.

    None where there is one class alone, or no second batch.
    """
    batches = _batches(labels, batch_size)
    totals = np.unique(batches, return_counts=True)[1]
    if len(totals) < 2 or len(batches) < 2:
        return None
    shares = totals / batches.size
    # Squares of counts come to those of their mean, and to the variance.
    even = len(batches) * ((batch_size * shares) ** 2).sum()
    variance = (_squared_counts(batches) - even) / len(batches)
    # The hypergeometric distribution's: a batch is drawn without putting back.
    left = (batches.size - batch_size) / (batches.size - 1)
    return float(variance / (batch_size * shares * (1 - shares) * left).sum())


def class_mixing_interval(
    labels: np.ndarray, batch_size: int
) -> tuple[float, float] | None:
    """The range of 95 % of the uniform permutations' class mixing of the same labels.

    Drawn instead of computed: counts of rare classes are far from normal. The draws are
    always the same ones.
    """
    if class_mixing(labels, batch_size) is None:
        return None
    draws, mixed = np.random.default_rng(0), _batches(labels, batch_size).ravel()
    mixings = [
        class_mixing(draws.permutation(mixed), batch_size) for _ in range(PERMUTATIONS)
    ]
    low, high = np.quantile(np.array(mixings, float), INTERVAL)
    return float(low), float(high)


def _batches(labels: np.ndarray, batch_size: int) -> np.ndarray:
    """int64 [batches, batch_size]: the whole batches."""
    return labels[: len(labels) // batch_size * batch_size].reshape(-1, batch_size)


def _squared_counts(batches: np.ndarray) -> int:
    """The sum of the squares of every class's count in every batch."""
    number = np.arange(len(batches))[:, None] * (batches.max() + 1)
    counts = np.unique(number + batches, return_counts=True)[1]
    return int((counts.astype(np.int64) ** 2).sum())


def displacement(positions: np.ndarray, count: int) -> float | None:
    """The mean distance from the stored positions, over a uniform permutation's.

    `positions` are those of the first examples delivered, of `count` that are stored.
    """
    if count < 2:
        return None
    place = np.arange(len(positions))
    before, after = place, count - 1 - place
    uniform = (before * (before + 1) + after * (after + 1)) / (2 * count)
    return float(np.abs(positions - place).mean() / uniform.mean())
