"""How well an epoch is shuffled, by what it delivers.

Pure functions of labels and stored positions in the order in which they came; a uniform
permutation, of which every order is as likely as any other, comes to about 1 in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ShuffleQuality:
    """1 is what a uniform permutation comes to; None where it cannot be told.

    `class_mixing` is how much the classes' counts vary from batch to batch: above 1
    classes come in runs, below 1 more evenly than by chance. `displacement` is how far
    examples come from where they are stored: 0 is the stored order.
    """

    class_mixing: float | None
    displacement: float | None


def class_mixing(labels: np.ndarray, batch_size: int) -> float | None:
    """The variance of the batches' class counts, over that of a uniform permutation.

    None where there is one class alone, or no second batch.
    """
    batches = labels[: len(labels) // batch_size * batch_size].reshape(-1, batch_size)
    classes, totals = np.unique(batches, return_counts=True)
    if len(classes) < 2 or len(batches) < 2:
        return None
    counts = np.stack([(batches == label).sum(axis=1) for label in classes])
    shares = totals / batches.size
    found = ((counts - batch_size * shares[:, None]) ** 2).mean(axis=1).sum()
    # The hypergeometric distribution's: a batch is drawn without putting back.
    left = (batches.size - batch_size) / (batches.size - 1)
    return float(found / (batch_size * shares * (1 - shares) * left).sum())


def displacement(positions: np.ndarray, count: int) -> float | None:
    """The mean distance from the stored positions, over a uniform permutation's.

    `positions` are those of the first examples delivered, of `count` that are stored.
    """
    if count < 2:
        return None
    delivered = np.arange(len(positions))
    before, after = delivered, count - 1 - delivered
    uniform = (before * (before + 1) + after * (after + 1)) / (2 * count)
    return float(np.abs(positions - delivered).mean() / uniform.mean())
