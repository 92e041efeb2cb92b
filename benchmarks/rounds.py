"""Rivals measured in turn, round after round: what drifts on a machine hits them all.

Each is started anew for its turn and gone before the next one's, so that none works in
another's time.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ROUNDS = 3

# Images per second of one round, by name.
Round = Mapping[str, float]


@dataclass(frozen=True)
class Ratio:
    """How many times as many images; `spread` is the rounds' range as a share of it."""

    ratio: float
    spread: float


def medians(rounds: Sequence[Round]) -> dict[str, float]:
    """Images per second over all rounds."""
    return {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}


def ratios(rounds: Sequence[Round], ours: str) -> dict[str, Ratio]:
    """How many times as many images as every other makes of the same round."""
    return {
        name: _ratio([each[ours] / each[name] for each in rounds])
        for name in rounds[0]
        if name != ours
    }


def _ratio(found: Sequence[float]) -> Ratio:
    median = statistics.median(found)
    return Ratio(median, (max(found) - min(found)) / median)
