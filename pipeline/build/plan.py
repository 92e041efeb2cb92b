"""The plan of a build: the split and the shard of every file.

A pure function of the files and the settings: order is a salted hash of the key, a
shard is a contiguous range of that order, so that adding workers changes no byte.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

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
    files: tuple[ImageFile, ...]

    @property
    def name(self) -> str:
        """The shard's file name, such as train-00003-of-00016.tfrecord."""
        return f"{self.split}-{self.index:05d}-of-{self.num_shards:05d}.tfrecord"


@dataclass(frozen=True)
class BuildPlan:
    """Every shard of a record set, and about how many bytes they will take."""

    class_names: tuple[str, ...]
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
        return sum(len(shard.files) for shard in self.shards)

    @property
    def record_bytes(self) -> int:
        """The estimated bytes of a record."""
        return self.estimated_bytes // self.num_files


def make_plan(
    files: Sequence[ImageFile], class_names: Sequence[str], config: BuildConfig
) -> BuildPlan:
    """Return the plan for `files`.

    Raises:
        DataError: more shards are asked for than there are examples.
    """
    ordered = sorted(files, key=lambda file: _salted(file.key, config.seed))
    splits = _splits(ordered, len(class_names), config)
    layout = plan_layout(config, _longest_names(files, class_names))
    sizes = {
        split: _estimated_bytes(part, config, layout) for split, part in splits.items()
    }
    counts = _shard_counts({k: len(v) for k, v in splits.items()}, sizes, config)
    shards = [
        ShardPlan(split, index, counts[split], tuple(part[start:stop]))
        for split, part in splits.items()
        for index, (start, stop) in enumerate(_ranges(len(part), counts[split]))
    ]
    total = sum(sizes.values())
    return BuildPlan(tuple(class_names), tuple(shards), total, layout)


def _splits(
    ordered: Sequence[ImageFile], num_classes: int, config: BuildConfig
) -> dict[Split, list[ImageFile]]:
    """Return the files of every split: as given, else validation drawn from train."""
    splits: dict[Split, list[ImageFile]] = {"train": [], "validation": [], "test": []}
    for file in ordered:
        splits[file.split or "train"].append(file)
    if not splits["validation"]:
        train, splits["train"] = splits["train"], []
        for file, out in zip(train, _held_out(train, num_classes, config), strict=True):
            splits["validation" if out else "train"].append(file)
    return splits


def _salted(key: str, seed: int) -> bytes:
    text = f"{seed}:{key}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).digest()


def validation_counts(
    class_counts: Sequence[int], fraction: float, seed: int
) -> list[int]:
    """Return how many of each class are held out: ceil(fraction x all) in total.

    The total is that of scikit-learn's `train_test_split(test_size=fraction)`, given
    out by largest remainder; the seed decides between equal ones. A class keeps an
    image to train on while others can be held out, and its only image always.
    """
    total = sum(class_counts)
    wanted = math.ceil(fraction * total)
    if fraction == 1:
        return list(class_counts)
    shares = [count * wanted / total for count in class_counts]
    counts = [
        max(0, min(math.floor(share), count - 1))
        for share, count in zip(shares, class_counts, strict=True)
    ]
    order = sorted(
        range(len(counts)),
        key=lambda label: (counts[label] - shares[label], _salted(str(label), seed)),
    )
    for least in (1, 0):
        while wanted > sum(counts):
            more = [i for i in order if counts[i] < class_counts[i] - least]
            more = [i for i in more if class_counts[i] > 1]
            if not more:
                break
            for label in more[: wanted - sum(counts)]:
                counts[label] += 1
    return counts


def _held_out(
    ordered: Sequence[ImageFile], num_classes: int, config: BuildConfig
) -> list[bool]:
    sizes = Counter(file.label for file in ordered)
    left = validation_counts(
        [sizes[label] for label in range(num_classes)],
        config.validation_fraction,
        config.seed,
    )
    held_out = []
    for file in ordered:
        held_out.append(left[file.label] > 0)
        left[file.label] -= 1
    return held_out


def _longest_names(files: Sequence[ImageFile], class_names: Sequence[str]) -> int:
    """Return the most bytes that a file's key and class name take together."""
    names = [len(name.encode("utf-8", "surrogateescape")) for name in class_names]
    return max(
        len(file.key.encode("utf-8", "surrogateescape")) + names[file.label]
        for file in files
    )


def _estimated_bytes(
    files: Sequence[ImageFile], config: BuildConfig, layout: Layout | None
) -> int:
    if layout is not None:
        return len(files) * layout.stride_bytes
    pixels = config.side * config.side
    per_image: dict[StorageName, float] = {
        "jpeg": jpeg_bytes_per_pixel(config.quality) * pixels,
        "original": sum(file.size_bytes for file in files) / max(1, len(files)),
    }
    overhead = 400  # keys, labels and framing of an example, rounded up
    return round(len(files) * (per_image[config.storage] + overhead))


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
