"""What a change is predicted to give on this machine, from limits of the same run.

Pure functions of what was measured; nothing is predicted that is no clear gain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from alexnet.benchmarks.input_pipeline.situation import Situation
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.records.storage import STORAGES

# What the pipeline makes of bare work on the same bytes, medians of 3 rounds in turn at
# 256 px on 2 CPUs: raw 0.84 and yuv420 0.77 of the gather, jpeg 0.85 of the decoding.
MAPPED_SHARE = 0.8
DECODED_SHARE = 0.85
# For a smaller gain it is not worth building records anew.
WORTH = 1.15


@dataclass(frozen=True)
class Prediction:
    """A change of the command line, and what the host would then deliver.

    `times_the_disk` is the records' new size by that of now, where it is known.
    """

    change: str
    images_per_second: float
    times_the_disk: float | None = None


def predictions(
    now: Situation, limits: Mapping[str, float], images_per_second: float
) -> tuple[Prediction, ...]:
    """Every change that is a clear gain over what is delivered, the best one first."""
    found = [
        each
        for each in _candidates(now, limits)
        if each.images_per_second >= WORTH * images_per_second
    ]
    return tuple(sorted(found, key=lambda each: -each.images_per_second))


def _candidates(now: Situation, limits: Mapping[str, float]) -> Iterator[Prediction]:
    if STORAGES[now.storage].is_pixels:
        if now.reader == "stream" and now.suits_mmap:
            rate = MAPPED_SHARE * limits["memory gather"]
            yield Prediction("`fit --reader mmap`", rate)
    elif "jpeg decode, stored square" in limits:
        rate = DECODED_SHARE * limits["jpeg decode, stored square"]
        yield Prediction("`records build --storage jpeg`", rate)
    # Planes of half the side need an even one.
    smallest: StorageName = "raw" if now.side % 2 else "yuv420"
    image_bytes = STORAGES[smallest].pixel_bytes(now.side)
    size = now.num_images * image_bytes
    if now.storage != smallest and size <= now.memory_bytes:
        scale = STORAGES[now.storage].pixel_bytes(now.side) / image_bytes
        yield Prediction(
            f"`records build --storage {smallest}`",
            MAPPED_SHARE * limits["memory gather"] * scale,
            size / now.num_bytes,
        )
