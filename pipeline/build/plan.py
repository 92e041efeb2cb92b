"""The plan of a build: the split and the shard of every file.

A pure function of the files and the settings: order is a salted hash of the key, a
shard is a contiguous range of that order, so that adding workers changes no byte. The
files lie on the disk, in their order, and a shard's are read when they are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from alexnet.pipeline.build.split_files import SplitFiles, split_files
from alexnet.pipeline.config import BuildConfig, Split, StorageName
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import count
from alexnet.pipeline.records.fixed_layout import Layout, plan_layout
from alexnet.pipeline.source.scan import ImageFile

# Few enough for big reads, many enough to interleave and to share among workers.
DEFAULT_TRAIN_SHARDS = 16
MIN_SHARD_EXAMPLES = 256
# Bytes a pixel of a photo's JPEG at 4:2:0, measured on cat and dog photos at 256 px.
JPEG_BYTES_PER_PIXEL = {50: 0.11, 75: 0.17, 90: 0.28, 95: 0.43, 100: 1.2}


@dataclass(frozen=True)
class ShardPlan:
    """One shard: its place in its split and the files it will hold, in order."""

    split: Split
    index: int
    num_shards: int
    files: Sequence[ImageFile]

    @property
    def name(self) -> str:
        """The shard's file name, such as train-00003-of-00016.tfrecord."""
        return f"{self.split}-{self.index:05d}-of-{self.num_shards:05d}.tfrecord"


@dataclass(frozen=True)
class BuildPlan:
    """Every shard of a record set, and about how many bytes they will take."""

    class_names: tuple[str, ...]
    # All files of each split, in order, and the parts of them that shards hold.
    files: dict[str, Sequence[ImageFile]]
    shards: tuple[ShardPlan, ...]
    estimated_bytes: int
    # Only of storages whose records can be mapped.
    layout: Layout | None

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits in their order: `test` where the source gave one."""
        tested = any(shard.split == "test" for shard in self.shards)
        return ("train", "validation", "test") if tested else ("train", "validation")

    @property
    def num_files(self) -> int:
        """The number of image files in the plan."""
        return sum(map(len, self.files.values()))

    @property
    def record_bytes(self) -> int:
        """The estimated bytes of a record."""
        return self.estimated_bytes // self.num_files


def make_plan(
    files: Iterable[ImageFile], class_names: Sequence[str], config: BuildConfig
) -> BuildPlan:
    """Return the plan for `files`, of which none is kept in memory.

    Raises:
        DataError: more shards are asked for than there are examples, or the disk has
            no room for the temporary files.
    """
    splits, longest_name = split_files(files, class_names, config)
    layout = plan_layout(config, longest_name)
    sizes = {
        split: _estimated_bytes(part, config, layout) for split, part in splits.items()
    }
    counts = _shard_counts({k: len(v) for k, v in splits.items()}, sizes, config)
    shards = [
        ShardPlan(split, index, counts[split], part.files[start:stop])
        for split, part in splits.items()
        for index, (start, stop) in enumerate(_ranges(len(part), counts[split]))
    ]
    in_order: dict[str, Sequence[ImageFile]] = {k: v.files for k, v in splits.items()}
    total = sum(sizes.values())
    return BuildPlan(tuple(class_names), in_order, tuple(shards), total, layout)


def _estimated_bytes(
    part: SplitFiles, config: BuildConfig, layout: Layout | None
) -> int:
    number = len(part)
    if layout is not None:
        return number * layout.stride_bytes
    pixels = config.side * config.side
    per_image: dict[StorageName, float] = {
        "jpeg": jpeg_bytes_per_pixel(config.quality) * pixels,
        "original": part.source_bytes / max(1, number),
    }
    overhead = 400  # keys, labels and framing of an example, rounded up
    return round(number * (per_image[config.storage] + overhead))


def jpeg_bytes_per_pixel(quality: int) -> float:
    """Return the estimated bytes a pixel, interpolated between measured qualities."""
    known = sorted(JPEG_BYTES_PER_PIXEL.items())
    above = next(i for i, (q, _) in enumerate(known) if q >= quality)
    if above == 0:
        return known[0][1]
    (q0, b0), (q1, b1) = known[above - 1], known[above]
    return b0 + (b1 - b0) * (quality - q0) / (q1 - q0)


def _shard_counts(
    examples: dict[Split, int], sizes: dict[Split, int], config: BuildConfig
) -> dict[Split, int]:
    """Return how many shards each split gets; 0 for an empty split."""
    if config.shards is None:
        return {k: _default_shards(examples[k], sizes[k], config) for k in examples}
    lead = next(split for split, number in examples.items() if number)
    if config.shards > examples[lead]:
        raise DataError(
            f"`shards={config.shards}`, but {lead} has only"
            f" {count(examples[lead], 'example')}."
            " Give no more shards than that."
        )
    per_shard = examples[lead] / config.shards
    return {
        split: config.shards
        if split == lead
        else min(number, max(1, round(number / per_shard)))
        for split, number in examples.items()
    }


def _default_shards(examples: int, size_bytes: int, config: BuildConfig) -> int:
    if not examples:
        return 0
    enough = max(1, min(DEFAULT_TRAIN_SHARDS, examples // MIN_SHARD_EXAMPLES))
    return min(examples, max(enough, math.ceil(size_bytes / config.shard_size_bytes)))


def _ranges(total: int, parts: int) -> list[tuple[int, int]]:
    edges = [total * part // parts for part in range(parts + 1)] if parts else [0]
    return list(pairwise(edges))
