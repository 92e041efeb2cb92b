"""The storage to build, chosen by what is predicted of each, and the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from alexnet.benchmarks.measure import describe_rate
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.files import format_bytes

# What a pipeline must deliver for each image that the train step takes: 20 % to spare.
ENOUGH = 1.2


@dataclass(frozen=True)
class Estimate:
    """The whole record set that one storage is predicted to make.

    `bytes_error` is a standard error, 0 where the size is exact; `spread` is that of
    the windows in which reading was measured, as a share. `fed` is True where the train
    step has ENOUGH, None where it is not known how much it takes.
    """

    bytes: int
    bytes_error: int
    bytes_per_image: float
    images_per_second: float
    spread: float
    build_seconds: float
    # Or it is read from the disk in every epoch.
    in_memory: bool
    fits_disk: bool
    fed: bool | None


def choose(estimates: Mapping[StorageName, Estimate]) -> StorageName | None:
    """The smallest storage that feeds the step, or else the fastest; None fits none."""
    fitting = {name: each for name, each in estimates.items() if each.fits_disk}
    feeding = [name for name, each in fitting.items() if each.fed]
    if feeding:
        return min(feeding, key=lambda name: fitting[name].bytes)
    return max(fitting, key=lambda name: fitting[name].images_per_second, default=None)


def advise(
    estimates: Mapping[StorageName, Estimate], demand: float | None, free_bytes: int
) -> str:
    """The storage to build and the reason, in a sentence or two."""
    storage = choose(estimates)
    if storage is None:
        least = min(estimates, key=lambda name: estimates[name].bytes)
        return (
            f"None fits: even `{least}` takes {format_bytes(estimates[least].bytes)},"
            f" and {format_bytes(free_bytes)} are free. Free some, or"
            " build on another disk or smaller (`records build --out`, `--side`)."
        )
    chosen = estimates[storage]
    sentences = [_describe_choice(storage, chosen, demand)]
    if not chosen.in_memory:
        sentences.append(
            "It is larger than the free memory: that is the disk's speed, with `alexnet"
            " fit --reader stream`."
        )
    if demand is None:
        sentences.append(
            "Give `records estimate --train-images-per-second` what `alexnet bench"
            " train-step` measures, and it is the smallest that is enough."
        )
    elif not chosen.fed:
        sentences.append("A smaller `records build --side` is less to read.")
    return " ".join(sentences)


def _describe_choice(
    storage: StorageName, chosen: Estimate, demand: float | None
) -> str:
    rate = describe_rate(chosen.images_per_second)
    build = f"`records build --storage {storage}`"
    yields = f"{rate} from {format_bytes(chosen.bytes)}"
    if demand is None:
        return f"{build} is the fastest that fits: {yields}."
    to_spare = f"({describe_rate(demand)}) with {ENOUGH - 1:.0%} to spare"
    if chosen.fed:
        return (
            f"{build} is the smallest that feeds the train step {to_spare}: {yields}."
        )
    return (
        f"No storage that fits feeds the train step {to_spare}; {build} is the fastest:"
        f" {yields}."
    )
