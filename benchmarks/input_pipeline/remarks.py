"""What else a bench found, in words: peers, a cold start, a poor shuffle.

Pure functions; a finding that needs no attention is not told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alexnet.benchmarks.input_pipeline.advice import shuffle_advice
from alexnet.benchmarks.input_pipeline.diagnosis import rate
from alexnet.benchmarks.input_pipeline.ladder import Rung
from alexnet.benchmarks.input_pipeline.shuffle_quality import ShuffleQuality
from alexnet.benchmarks.input_pipeline.situation import Situation
from alexnet.benchmarks.rounds import Ratio

# Below this share of the warm pass, a cold one waits for the disk.
COLD_SHARE = 0.7
# Nearer to their stored places than this, examples meet the same neighbours.
POOR_DISPLACEMENT = 0.5


def of_peers(
    against: Mapping[str, float], ratios: Mapping[str, Ratio], rungs: Sequence[Rung]
) -> list[str]:
    """A sentence for every peer."""
    augmented = [r.images_per_second for r in rungs if r.stage == "augment"]
    return [
        _of_peer(name, their_rate, ratios[name], augmented)
        for name, their_rate in against.items()
    ]


def _of_peer(
    name: str, their_rate: float, ratio: Ratio, augmented: Sequence[float]
) -> str:
    told = (
        f"The host delivers {ratio.ratio:.2f} times as many images as `{name}`"
        f" ({rate(their_rate)}; the ratio's spread is {ratio.spread:.0%})"
    )
    # The article's generator is the one peer that augments.
    for ours in augmented if name == "article" else ():
        told += f", {ours / their_rate:.1f} times as many augmented"
    return f"{told}."


def of_cold_start(cold: float | None, warm: float) -> list[str]:
    """Whether the disk is what a first epoch waits for."""
    if cold is None or cold >= COLD_SHARE * warm:
        return []
    return [
        f"Until the records are in memory the disk limits: the first pass makes"
        f" {rate(cold)} from a cold page cache, {rate(warm)} from a warm one."
    ]


def of_shuffle(quality: ShuffleQuality, now: Situation) -> list[str]:
    """Whether the epochs are shuffled poorly."""
    mixing, interval = quality.class_mixing, quality.class_mixing_interval
    displacement = quality.displacement
    if mixing is not None and interval and mixing > interval[1]:
        told = (
            f"Batches' class counts vary {mixing:.2f} times as much as by chance, where"
            f" 95% of uniform permutations come to {interval[0]:.2f} to"
            f" {interval[1]:.2f}."
        )
    elif displacement is not None and displacement < POOR_DISPLACEMENT:
        told = f"Examples move {displacement:.0%} as far as in a uniform shuffle."
    else:
        return []
    return [f"{told} {shuffle_advice(now)}".strip()]
