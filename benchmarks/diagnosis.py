"""What limits the pipeline, and what to change, in words.

Pure functions of the numbers that a ladder and its limits came to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.ladder import Rung, added_microseconds
from pipeline.config import Storage

DEVICE_STAGES = ("to device", "augment", "train step")
# Below this share of what the host delivers, the device is behind and not just noisy.
DEVICE_BEHIND = 0.9
# From this share of a limit on, the limit and not the pipeline is what is slow.
NEAR_LIMIT = 0.5

DEVICE_ADVICE = {
    "to device": "Smaller pictures (`records build --side`) are less to copy.",
    "augment": "It runs on the device that trains, which is a CPU that also decodes"
    " where there is no GPU: use a GPU, or a lighter --augment.",
    "train step": "The input pipeline keeps up; for more, make the step faster:"
    " `alexnet fit --mixed-precision`, a larger --batch-size.",
}
DECODE_ADVICE: dict[Storage, str] = {
    "jpeg": "`records build --storage raw` needs no decoding, for about ten times the"
    " disk; fewer pixels (--side) or more CPUs help in proportion.",
    "original": "`records build --storage jpeg` decodes and resizes once, when the"
    " records are built.",
    "raw": "Raw pixels are only copied here; fewer of them (--side) help.",
}
HOST_ADVICE = {
    "shuffle": "A smaller --ram-budget holds fewer records in the shuffle buffer.",
    "parse": "This is TensorFlow's work for each record; more CPUs help.",
    "batch": "Images are copied into their batch here; fewer pixels (--side) help.",
    "prefetch": "Batches wait for each other here; more CPUs help.",
}


def split_rungs(rungs: Sequence[Rung]) -> tuple[list[Rung], list[Rung]]:
    """The host's rungs and the device's."""
    host = [rung for rung in rungs if rung.stage not in DEVICE_STAGES]
    return host, [rung for rung in rungs if rung.stage in DEVICE_STAGES]


def bottleneck(rungs: Sequence[Rung]) -> str:
    """The stage that costs most, on the side that limits: the host or the device."""
    host, device = split_rungs(rungs)
    delivered = host[-1].images_per_second
    behind = device and device[-1].images_per_second < DEVICE_BEHIND * delivered
    measured, suspects = (rungs, device) if behind else (host, host)
    costs = dict(zip(measured, added_microseconds(measured), strict=True))
    return max(suspects, key=costs.__getitem__).stage


def advice(
    rungs: Sequence[Rung],
    limits: Mapping[str, float],
    against: Mapping[str, float],
    storage: Storage,
) -> str:
    """What limits, by how much, and what to change, in a few sentences."""
    stage = bottleneck(rungs)
    if stage in DEVICE_STAGES:
        sentences = [_device(rungs, stage), DEVICE_ADVICE[stage], _host(rungs)]
    else:
        sentences = [_host(rungs), *_remedy(rungs, stage, limits, storage)]
    sentences += [_peer(rungs, name, rate) for name, rate in against.items()]
    return " ".join(sentences)


def _device(rungs: Sequence[Rung], stage: str) -> str:
    delivered = split_rungs(rungs)[0][-1].images_per_second
    reached = next(rung for rung in rungs if rung.stage == stage).images_per_second
    return (
        f"`{stage}` limits: with it {_rate(reached)}, while the host delivers"
        f" {_rate(delivered)}, {delivered / reached:.1f} times as many."
    )


def _host(rungs: Sequence[Rung]) -> str:
    host = split_rungs(rungs)[0]
    costs = dict(zip((r.stage for r in host), added_microseconds(host), strict=True))
    stage, delivered = bottleneck(host), host[-1].images_per_second
    return (
        f"On the host `{stage}` costs most: {costs[stage]:,.0f} of"
        f" {1e6 / delivered:,.0f} microseconds an image, together {_rate(delivered)}."
    )


def _remedy(
    rungs: Sequence[Rung], stage: str, limits: Mapping[str, float], storage: Storage
) -> list[str]:
    """Where the host stands by the machine's own limit, and what would help."""
    delivered = split_rungs(rungs)[0][-1].images_per_second
    memory = limits["memory copy"]
    if delivered >= NEAR_LIMIT * memory:
        return [
            f"That is {delivered / memory:.0%} of what the memory can copy"
            f" ({_rate(memory)}): only fewer pixels (--side) help."
        ]
    if stage == "read":
        return [_read(rungs[0].images_per_second, limits["disk read"], storage)]
    if stage == "decode" and "jpeg decode" in limits:
        bare = limits["jpeg decode"]
        near = f"Bare libjpeg decodes {_rate(bare)} here; this is"
        return [f"{near} {delivered / bare:.0%} of it.", DECODE_ADVICE[storage]]
    return [DECODE_ADVICE[storage] if stage == "decode" else HOST_ADVICE[stage]]


def _read(reached: float, disk: float, storage: Storage) -> str:
    share = f"{reached / disk:.0%} of what the disk gives ({_rate(disk)})"
    if reached < NEAR_LIMIT * disk:
        return f"Reading reaches {share}: more shards (--shards) are read side by side."
    smaller = " or build smaller records (--storage jpeg)" if storage == "raw" else ""
    return f"Reading reaches {share}: move the records to a faster disk{smaller}."


def _peer(rungs: Sequence[Rung], name: str, rate: float) -> str:
    host, device = split_rungs(rungs)
    host_rate = host[-1].images_per_second
    augmented = [rung for rung in device if rung.stage == "augment"]
    with_it = "".join(
        f", {rung.images_per_second / rate:.1f} times with augmentation"
        for rung in augmented
    )
    return (
        f"The {name}'s generator makes {_rate(rate)}, augmented: the host delivers"
        f" {host_rate / rate:.1f} times as many{with_it}."
    )


def _rate(images_per_second: float) -> str:
    return f"{images_per_second:,.0f} images/s"
