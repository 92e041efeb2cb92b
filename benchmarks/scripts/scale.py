"""Costs of sets of a million and of a billion images, by terms measured here.

`python -m alexnet.benchmarks.scripts.scale PHOTOS` prints the table in
`docs/guides/scale.md`. Your photos are stored as JPEGs, verified and read; a manifest
of many shards, an index, a list of files and places in the order of a billion rows are
made and timed; the rest is multiplication.
"""

from __future__ import annotations

import json
import resource
import tracemalloc
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tensorflow as tf

from alexnet.benchmarks.scripts.build_vs_pillow import pick
from alexnet.pipeline.build.build import build
from alexnet.pipeline.build.plan import BuildPlan, make_plan
from alexnet.pipeline.config import BuildConfig, ReadConfig
from alexnet.pipeline.files import format_bytes, write_text
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.read.by_row import ROWS_AT_ONCE
from alexnet.pipeline.read.dataset import train_dataset
from alexnet.pipeline.read.opened_records import open_records
from alexnet.pipeline.read.order import epoch_order
from alexnet.pipeline.records.interop import INDEX_FOLDER, index_name, read_index
from alexnet.pipeline.records.manifest import (
    MANIFEST,
    Manifest,
    Shard,
    SplitCard,
    load_manifest,
)
from alexnet.pipeline.source.scan import ImageFile, scan
from alexnet.pipeline.table import Rows, Table
from alexnet.pipeline.verify.verify import verify

SIZES = (1_300_000, 1_000_000_000)
# Numbers of shards, and of records, files and rows, that terms are measured on.
NUM_SHARDS, NUM_EACH = 60_000, 200_000
# A plan of this many times the files shows what each one adds.
MORE_FILES = 2
# The order is looked up at random places among so many rows.
ORDERED_ROWS = 10**9
# Epochs in which the pipeline warms up, and as many that are timed.
EPOCHS = 2
# An order that is sorted: a key of float64 and a number of int32 for each row.
SORTED_ROW_BYTES = 12
# A mapped JPEG's offset and size, int64 each.
INDEX_ENTRY_BYTES = 16


@dataclass(frozen=True)
class Terms:
    """The measured terms; seconds are those of one core."""

    # Of a photo, stored.
    record_bytes: float
    build_seconds: float
    verify_seconds: float
    read_seconds: float
    # Of a shard in the manifest.
    manifest_bytes: float
    open_seconds: float
    manifest_memory_bytes: float
    # Of a record in its shard's index.
    index_bytes: float
    index_seconds: float
    # Of a plan, in memory, and of every file in it.
    plan_bytes: float
    plan_file_bytes: float
    # Of a file that is planned.
    plan_seconds: float
    # Of a row in an epoch's order.
    order_seconds: float


@dataclass(frozen=True)
class Row:
    """A line of the table: its name, and what stands there for a number of images."""

    name: str
    cell: Callable[[int], str]


def measure(photos: Path, num_shards: int, num_each: int) -> Terms:
    """Measure the terms of photos, of shards, and of records, files and rows."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        return Terms(
            *_photo_terms(photos, folder / "records"),
            *_manifest_terms(folder, num_shards),
            *_index_terms(folder, num_each),
            *_plan_terms(num_each),
            _order_seconds(num_each),
        )


def _core_seconds(work: Callable[[], Any]) -> float:
    """The processor's time that a piece of work takes, its processes' included."""
    before = _processor_seconds()
    work()
    return _processor_seconds() - before


def _processor_seconds() -> float:
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    usages = [resource.getrusage(who) for who in whose]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _traced_bytes(work: Callable[[], Any]) -> tuple[int, int]:
    """Return the bytes in memory while the result of `work` is held, and the peak."""
    tracemalloc.start()
    held = work()
    taken = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del held
    return taken


def _photo_terms(photos: Path, folder: Path) -> tuple[float, float, float, float]:
    source, few = scan(photos), folder.with_name("few")
    # Processes that start take as long for a thousand photos as for a billion.
    first = pick(source, num_cpus())
    fixed_seconds = _core_seconds(lambda: build(first, few, BuildConfig()))
    build_seconds = _core_seconds(lambda: build(source, folder, BuildConfig()))
    verify_seconds = _core_seconds(lambda: verify(folder))
    records = open_records(folder)
    stored = sum(shard.num_bytes for shard in records.manifest.shards)
    count = sum(shard.num_examples for shard in records.manifest.shards)
    num_read = records.manifest.split("train").num_examples
    config = ReadConfig(batch_size=min(ReadConfig().batch_size, num_read))
    steps = EPOCHS * (num_read // config.batch_size)
    batches = iter(train_dataset(records, config))
    _take(batches, steps)
    read_seconds = _core_seconds(lambda: _take(batches, steps))
    return (
        stored / count,
        max(0.0, build_seconds - fixed_seconds) / count,
        verify_seconds / count,
        read_seconds / (steps * config.batch_size),
    )


def _take(batches: Iterator[Any], steps: int) -> None:
    for _ in range(steps):
        next(batches)


def _manifest_terms(folder: Path, num_shards: int) -> tuple[float, float, float]:
    """Measure the manifest of shards as a billion images have at the default size."""
    shards = tuple(
        Shard(f"train-{n:05d}-of-{num_shards:05d}.tfrecord", 7294, 2**27, 2**31 + n)
        for n in range(num_shards)
    )
    splits = {
        "train": SplitCard(shards, (7294 * num_shards, 0)),
        "validation": SplitCard((), (0, 0)),
    }
    Manifest(BuildConfig(), ("cat", "dog"), splits, 0, "0" * 64).save(folder)
    size = (folder / MANIFEST).stat().st_size
    seconds = _core_seconds(lambda: load_manifest(folder))
    memory, _ = _traced_bytes(lambda: load_manifest(folder))
    return size / num_shards, seconds / num_shards, memory / num_shards


def _index_terms(folder: Path, num_records: int) -> tuple[float, float]:
    shard = Shard("train-00000-of-00001.tfrecord", num_records, 18_400 * num_records, 0)
    (folder / INDEX_FOLDER).mkdir()
    path = folder / index_name(shard.name)
    write_text(path, "".join(f"{18_400 * n} 18400\n" for n in range(num_records)))
    seconds = _core_seconds(lambda: read_index(folder, shard))
    return path.stat().st_size / num_records, seconds / num_records


def _plan_terms(num_files: int) -> tuple[float, float, float]:
    """Measure the plan of files that a table on the disk lists."""
    names = [f"class{n:03d}" for n in range(1000)]

    def listed(number: int) -> Rows[ImageFile]:
        table = Table()
        keys = (f"{names[n % 1000]}/image{n:010d}.jpg" for n in range(number))
        table.extend((key, n % 1000, 10**5 + n, None) for n, key in enumerate(keys))
        return Rows(table, ImageFile)

    def plan(files: Rows[ImageFile]) -> BuildPlan:
        return make_plan(files, names, BuildConfig())

    def peak_bytes(number: int) -> int:
        _, peak = _traced_bytes(lambda: plan(listed(number)))
        return peak

    files = listed(num_files)
    seconds = _core_seconds(lambda: plan(files))
    few, many = peak_bytes(num_files), peak_bytes(MORE_FILES * num_files)
    growth = max(0, many - few) / ((MORE_FILES - 1) * num_files)
    return few, growth, seconds / num_files


def _order_seconds(num_rows: int) -> float:
    places = np.random.default_rng(0).integers(ORDERED_ROWS, size=num_rows)
    epoch = tf.constant(1, tf.int64)
    datasets = tf.data.Dataset.from_tensor_slices(places).batch(ROWS_AT_ONCE)
    drawn = datasets.map(lambda some: epoch_order(some, ORDERED_ROWS, 21, epoch))
    list(drawn.take(1))
    return _core_seconds(lambda: list(drawn)) / num_rows


def table(terms: Terms, shard_bytes: int) -> list[Row]:
    """The lines of the table, for shards of so many bytes."""

    def shards(images: int) -> int:
        return int(-(-images * terms.record_bytes // shard_bytes))

    def size(of_image: float) -> Callable[[int], str]:
        return lambda images: format_bytes(images * of_image)

    def duration(of_image: float) -> Callable[[int], str]:
        return lambda images: format_seconds(images * of_image)

    return [
        Row("records", size(terms.record_bytes)),
        Row(f"shards of {format_bytes(shard_bytes)}", lambda n: f"{shards(n):,}"),
        Row(
            "the list of files and its plan, in memory",
            lambda n: format_bytes(terms.plan_bytes + n * terms.plan_file_bytes),
        ),
        Row("planning", duration(terms.plan_seconds)),
        Row("building", duration(terms.build_seconds)),
        Row("manifest", lambda n: format_bytes(shards(n) * terms.manifest_bytes)),
        Row("manifest, read", lambda n: format_seconds(shards(n) * terms.open_seconds)),
        Row(
            "manifest, in memory",
            lambda n: format_bytes(shards(n) * terms.manifest_memory_bytes),
        ),
        Row("indexes", size(terms.index_bytes)),
        Row("indexes, read where JPEGs are mapped", duration(terms.index_seconds)),
        Row("indexes, in memory", size(INDEX_ENTRY_BYTES)),
        Row("an epoch's order if it were sorted, in memory", size(SORTED_ROW_BYTES)),
        Row("an epoch's order by formula, in memory", size(0)),
        Row("an epoch's order, computed", duration(terms.order_seconds)),
        Row("reading an epoch, decoded", duration(terms.read_seconds)),
        Row("verifying", duration(terms.verify_seconds)),
    ]


def format_seconds(seconds: float) -> str:
    """A duration for people: 7294 -> '2.0 h'."""
    if seconds < 60:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:,.1f} h"


def describe(rows: Sequence[Row]) -> str:
    """The table in Markdown."""
    lines = [
        f"| | {' | '.join(f'{size:,} images' for size in SIZES)} |",
        f"|---|{'---:|' * len(SIZES)}",
    ]
    for row in rows:
        cells = " | ".join(row.cell(size) for size in SIZES)
        lines.append(f"| {row.name} | {cells} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the terms, and the table that follows from them."""
    parser = ArgumentParser(
        "python -m alexnet.benchmarks.scripts.scale", description=__doc__
    )
    parser.add_argument("photos", type=Path, help="folder or archive of photos")
    parser.add_argument("--shards", type=int, default=NUM_SHARDS)
    parser.add_argument("--each", type=int, default=NUM_EACH)
    options = parser.parse_args(arguments)
    terms = measure(options.photos, options.shards, options.each)
    print(json.dumps(asdict(terms), indent=2))
    print(describe(table(terms, BuildConfig().shard_size_bytes)))


if __name__ == "__main__":
    main()
