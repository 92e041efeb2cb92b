"""How well an epoch is shuffled, by what it delivers.

Pure functions of labels and stored positions in the order in which they came; a uniform
permutation, of which every order is as likely as any other, comes to about 1 in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    found = (_squared_counts(batches) - even) / len(batches)
    # The hypergeometric distribution's: a batch is drawn without putting back.
    left = (batches.size - batch_size) / (batches.size - 1)
    return float(found / (batch_size * shares * (1 - shares) * left).sum())


def class_mixing_interval(
    labels: np.ndarray, batch_size: int
) -> tuple[float, float] | None:
    """Where 95 % of uniform permutations of the same labels have their class mixing.

    Drawn instead of computed: counts of rare classes are far from normal. The draws are
    always the same ones.
    """
    if class_mixing(labels, batch_size) is None:
        return None
    draws, mixed = np.random.default_rng(0), _batches(labels, batch_size).ravel()
    found = [
        class_mixing(draws.permutation(mixed), batch_size) for _ in range(PERMUTATIONS)
    ]
    low, high = np.quantile(np.array(found, float), INTERVAL)
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
    delivered = np.arange(len(positions))
    before, after = delivered, count - 1 - delivered
    uniform = (before * (before + 1) + after * (after + 1)) / (2 * count)
    return float(np.abs(positions - delivered).mean() / uniform.mean())
