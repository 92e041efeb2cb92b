"""Which examples come in which order, asked of the stages that training composes.

What the order is worth is told by `shuffle_quality`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from alexnet.benchmarks.input_pipeline.shuffle_quality import (
    ShuffleQuality,
    class_mixing,
    class_mixing_interval,
    displacement,
)
from alexnet.pipeline.read.stage import EpochStage, Stage, compose

# More examples than these make the figures no steadier.
MAX_EXAMPLES = 20_000


def judge_shuffle(
    stages: Sequence[Stage], batch_size: int, num_examples: int
) -> ShuffleQuality:
    """How well the first epoch is shuffled, by its first examples."""
    count = min(MAX_EXAMPLES, num_examples) // batch_size * batch_size
    labels = delivered_labels(stages, count)
    positions = delivered_positions(stages, count, num_examples)
    return ShuffleQuality(
        class_mixing(labels, batch_size),
        class_mixing_interval(labels, batch_size),
        displacement(positions, num_examples),
    )


def delivered_labels(stages: Sequence[Stage], count: int) -> np.ndarray:
    """int64 [count]: the first labels, from the first stage that knows them."""
    prefixes = (compose(stages[:length]) for length in range(1, len(stages) + 1))
    return _collect(next(d for d in prefixes if _components(d) > 1), count)


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

    def numbers(_: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.range(num_examples)

    shuffle = [stage.name for stage in stages].index("shuffle")
    numbered = [EpochStage("read", numbers), *stages[1 : shuffle + 1]]
    return _collect(compose(numbered), count)


def _components(dataset: tf.data.Dataset) -> int:
    return len(tf.nest.flatten(dataset.element_spec))


def _collect(dataset: tf.data.Dataset, count: int) -> np.ndarray:
    """The last components of the first elements, one after another."""
    found: list[np.ndarray] = []
    have = 0
    for element in dataset:
        found.append(np.ravel(tf.nest.flatten(element)[-1]))
        have += len(found[-1])
        if have >= count:
            break
    return np.asarray(np.concatenate(found)[:count])
