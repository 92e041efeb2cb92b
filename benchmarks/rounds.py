"""Rounds in which contenders take turns, and the ratios of their speeds.

What drifts on a machine hits all of a round, so ratios are taken within each. Nothing
here needs TensorFlow, which would be imported by every process that a script starts.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Images per second of what took turns, by name.
Round = Mapping[str, float]

ROUNDS = 3


@dataclass(frozen=True)
class Ratio:
    """The median of the rounds' ratios, and their range as a share of it."""

    ratio: float
    spread: float


def medians(rounds: Sequence[Round]) -> dict[str, float]:
    """Images per second over all rounds."""
    return {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}


def ratios(rounds: Sequence[Round], ours: str) -> dict[str, Ratio]:
    """`ours` by every other of the same round."""
    return {
        name: Ratio(*median_and_spread([r[ours] / r[name] for r in rounds]))
        for name in rounds[0]
        if name != ours
    }


def median_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """The median, and the range of the values as a share of it."""
    median = statistics.median(values)
    return median, (max(values) - min(values)) / median
