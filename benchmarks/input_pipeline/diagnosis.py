"""The diagnosis: what limits the pipeline, by how much, and what to change, in words.

Pure functions of the figures that a bench came to; what needs no attention is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alexnet.benchmarks.input_pipeline.advice import (
    Situation,
    device_advice,
    host_advice,
    shuffle_advice,
)
from alexnet.benchmarks.input_pipeline.ladder import (
    DEVICE_STAGES,
    Rung,
    Share,
    added_microseconds,
    alone,
    delivered,
    split_rungs,
)
from alexnet.benchmarks.input_pipeline.shuffle_quality import ShuffleQuality
from alexnet.benchmarks.input_pipeline.speedups import Speedup
from alexnet.benchmarks.measure import describe_rate
from alexnet.benchmarks.rounds import Ratio

# Below this share of what the host delivers, the device is behind and not just noisy.
DEVICE_BEHIND = 0.9
# Below this share of the warm epoch, a cold one waits for the disk.
COLD_SHARE = 0.7
# Nearer to their stored places than this, examples meet the same neighbours.
POOR_DISPLACEMENT = 0.5


def bottleneck(rungs: Sequence[Rung], limits: Mapping[str, float]) -> str:
    """The stage that costs most, on the side that limits: the host or the device."""
    host, device = split_rungs(rungs)
    host_rate = delivered(rungs)
    if device and device[-1].images_per_second < DEVICE_BEHIND * host_rate:
        stage = _costliest(rungs, device)
        # A stage that takes more when it is alone waits for the host.
        if limits.get(alone(stage), 0.0) < host_rate:
            return stage
    return _costliest(host, host)


def _costliest(rungs: Sequence[Rung], suspects: Sequence[Rung]) -> str:
    costs = dict(zip(rungs, added_microseconds(rungs), strict=True))
    return max(suspects, key=costs.__getitem__).stage


def describe_bottleneck(
    rungs: Sequence[Rung],
    limits: Mapping[str, float],
    shares: Mapping[str, Share],
    speedups: Sequence[Speedup],
    now: Situation,
) -> str:
    """Say what limits, by how much, and what is left to change."""
    stage = bottleneck(rungs, limits)
    if stage in DEVICE_STAGES:
        return f"{_describe_device(rungs, stage)} {device_advice(stage, now)}"
    sentences = [_describe_host(rungs, stage)]
    demand, share = alone(rungs[-1].stage), shares.get(split_rungs(rungs)[0][-1].stage)
    if demand in limits:
        sentences.append(f"`{demand}` takes {describe_rate(limits[demand])}.")
    if share:
        sentences.append(
            f"The host reaches {share.share:.0%} of the machine's `{share.limit}`,"
            f" {describe_rate(limits[share.limit])}."
        )
    sentences += map(_describe_speedup, speedups)
    if not speedups:
        sentences.append(host_advice(stage, shares.get(stage), now))
    return " ".join(sentences)


def _describe_device(rungs: Sequence[Rung], stage: str) -> str:
    host, device = split_rungs(rungs)
    rate = next(r.images_per_second for r in device if r.stage == stage)
    return (
        f"`{stage}` limits: {describe_rate(rate)}, while the host delivers"
        f" {describe_rate(delivered(rungs))}, {delivered(rungs) / rate:.1f} times as"
        f" many. There `{_costliest(host, host)}` costs most."
    )


def _describe_host(rungs: Sequence[Rung], stage: str) -> str:
    host, _ = split_rungs(rungs)
    costs = dict(zip((r.stage for r in host), added_microseconds(host), strict=True))
    rate = delivered(rungs)
    return (
        f"`{stage}` limits: the host delivers {describe_rate(rate)}, and of an image's"
        f" {1e6 / rate:,.0f} microseconds {costs[stage]:,.0f} are spent there."
    )


def _describe_speedup(speedup: Speedup) -> str:
    disk = speedup.times_the_disk
    return (
        f"{speedup.change} is predicted to give"
        f" {describe_rate(speedup.images_per_second)} on this machine"
        + (f", for {disk:.1f} times the disk." if disk else ".")
    )


def describe_loaders(
    against: Mapping[str, float], ratios: Mapping[str, Ratio], rungs: Sequence[Rung]
) -> list[str]:
    """A sentence for every other loader."""
    augmented = [r.images_per_second for r in rungs if r.stage == "augment"]
    sentences = []
    for name, rate in against.items():
        words = (
            f"The host delivers {ratios[name].ratio:.2f} times as many images as"
            f" `{name}` ({describe_rate(rate)}; the ratio's spread is"
            f" {ratios[name].spread:.0%})"
        )
        # The article's generator is the one loader that augments.
        for ours in augmented if name == "article" else ():
            words += f", {ours / rate:.1f} times as many augmented"
        sentences.append(f"{words}.")
    return sentences


def check_cold_start(cold: float | None, warm: float) -> list[str]:
    """A sentence where a first epoch waits for the disk."""
    if cold is None or cold >= COLD_SHARE * warm:
        return []
    return [
        f"Until the records are in memory the disk limits: the first epoch makes"
        f" {describe_rate(cold)} from a cold page cache, {describe_rate(warm)} from a"
        " warm one."
    ]


def check_shuffle(quality: ShuffleQuality, now: Situation) -> list[str]:
    """A sentence where the epochs are shuffled poorly."""
    mixing, interval = quality.class_mixing, quality.class_mixing_interval
    displacement = quality.displacement
    if mixing is not None and interval and mixing > interval[1]:
        words = (
            f"Batches' class counts vary {mixing:.2f} times as much as by chance, where"
            f" 95% of uniform permutations come to {interval[0]:.2f} to"
            f" {interval[1]:.2f}."
        )
    elif displacement is not None and displacement < POOR_DISPLACEMENT:
        words = f"Examples move {displacement:.0%} as far as in a uniform shuffle."
    else:
        return []
    return [f"{words} {shuffle_advice(now)}".strip()]
