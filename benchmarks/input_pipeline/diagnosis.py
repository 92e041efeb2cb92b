"""What limits the pipeline, by how much, and what to change, in words.

Pure functions of the numbers that a ladder and its limits came to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alexnet.benchmarks.input_pipeline.advice import device_advice, host_advice
from alexnet.benchmarks.input_pipeline.ladder import (
    DEVICE_STAGES,
    Rung,
    added_microseconds,
    split_rungs,
)
from alexnet.benchmarks.input_pipeline.shares import Share, alone
from alexnet.benchmarks.input_pipeline.situation import Situation
from alexnet.benchmarks.input_pipeline.speedups import Prediction

# Below this share of what the host delivers, the device is behind and not just noisy.
DEVICE_BEHIND = 0.9


def bottleneck(rungs: Sequence[Rung], limits: Mapping[str, float]) -> str:
    """The stage that costs most, on the side that limits: the host or the device."""
    host, device = split_rungs(rungs)
    delivered = host[-1].images_per_second
    if device and device[-1].images_per_second < DEVICE_BEHIND * delivered:
        stage = _costliest(rungs, device)
        # A consumer that takes more when it is alone waits for the host.
        if limits.get(alone(stage), 0.0) < delivered:
            return stage
    return _costliest(host, host)


def _costliest(rungs: Sequence[Rung], suspects: Sequence[Rung]) -> str:
    costs = dict(zip(rungs, added_microseconds(rungs), strict=True))
    return max(suspects, key=costs.__getitem__).stage


def verdict(
    rungs: Sequence[Rung],
    limits: Mapping[str, float],
    shares: Mapping[str, Share],
    predictions: Sequence[Prediction],
    now: Situation,
) -> str:
    """What limits, by how much, and what is left to change, in a few sentences."""
    stage = bottleneck(rungs, limits)
    if stage in DEVICE_STAGES:
        sentences = [*_device(rungs, stage), device_advice(stage, now)]
    else:
        sentences = [*_host(rungs, stage), *_demand(rungs, limits)]
        sentences += _reached(rungs, shares, limits)
        sentences += map(_predicted, predictions)
        if not predictions:
            sentences.append(host_advice(stage, shares.get(stage), now))
    return " ".join(sentences)


def _device(rungs: Sequence[Rung], stage: str) -> list[str]:
    host = split_rungs(rungs)[0]
    delivered = host[-1].images_per_second
    reached = next(rung for rung in rungs if rung.stage == stage).images_per_second
    return [
        f"`{stage}` limits: {rate(reached)}, while the host delivers {rate(delivered)},"
        f" {delivered / reached:.1f} times as many.",
        f"There `{_costliest(host, host)}` costs most.",
    ]


def _host(rungs: Sequence[Rung], stage: str) -> list[str]:
    host = split_rungs(rungs)[0]
    costs = dict(zip((r.stage for r in host), added_microseconds(host), strict=True))
    delivered = host[-1].images_per_second
    return [
        f"`{stage}` limits: the host delivers {rate(delivered)}, and of an image's"
        f" {1e6 / delivered:,.0f} microseconds {costs[stage]:,.0f} are spent there."
    ]


def _demand(rungs: Sequence[Rung], limits: Mapping[str, float]) -> list[str]:
    """How much the last consumer would take."""
    name = alone(rungs[-1].stage)
    return [f"`{name}` takes {rate(limits[name])}."] if name in limits else []


def _reached(
    rungs: Sequence[Rung], shares: Mapping[str, Share], limits: Mapping[str, float]
) -> list[str]:
    share = shares.get(split_rungs(rungs)[0][-1].stage)
    if share is None:
        return []
    return [
        f"The host reaches {share.share:.0%} of the machine's `{share.limit}`,"
        f" {rate(limits[share.limit])}."
    ]


def _predicted(prediction: Prediction) -> str:
    disk = prediction.times_the_disk
    return (
        f"{prediction.change} is predicted to give"
        f" {rate(prediction.images_per_second)} on this machine"
        + (f", for {disk:.1f} times the disk." if disk else ".")
    )


def rate(images_per_second: float) -> str:
    """A throughput for people, in three digits."""
    return f"{float(f'{images_per_second:.3g}'):,.0f} images/s"
