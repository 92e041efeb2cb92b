"""Repair a record set: write its damaged shards again, byte for byte, from the photos.

The report of `verify` decides which. A shard takes its name only when its checksum
is the manifest's, so that an interrupted or failed repair leaves things as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import PIL

from alexnet.pipeline.build.encode_job import EncodeJob, EncodeResult
from alexnet.pipeline.build.encoder import encoder, useful_workers
from alexnet.pipeline.build.plan import make_plan
from alexnet.pipeline.build.quarantine import read_quarantine
from alexnet.pipeline.build.shard import ShardStats
from alexnet.pipeline.build.state import source_fingerprint
from alexnet.pipeline.build.writer import Progress
from alexnet.pipeline.errors import DataError, ReadError, RemoteError
from alexnet.pipeline.files import atomic_path, require_room
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.records.interop import (
    index_name,
    save_interop,
    shard_index,
)
from alexnet.pipeline.records.manifest import MANIFEST, Manifest, Shard, load_manifest
from alexnet.pipeline.records.tfrecord import write_shard
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place, put_text
from alexnet.pipeline.source.scan import ImageFile, Source, scan
from alexnet.pipeline.verify.copies import local_copy, replaced_shard
from alexnet.pipeline.verify.verify import VerifyReport


@dataclass(frozen=True)
class Origin:
    """A record set and the photos it was built from."""

    folder: Place
    manifest: Manifest
    source: Source
    # By the name of a shard.
    planned: dict[str, Sequence[ImageFile]]
    # The keys of photos that have no record.
    set_aside: set[str]
    # Estimate.
    record_bytes: int

    def files(self, shard_name: str) -> list[ImageFile]:
        """Return the photos of a shard's records, in order; none of another file's."""
        planned = self.planned.get(shard_name, ())
        return [file for file in planned if file.key not in self.set_aside]


def find_origin(folder: Place, path: Place) -> Origin:
    """Return the photos at `path`, from which the record set in `folder` was built.

    Raises:
        DataError: it was built from others, or they have changed since.
    """
    manifest = load_manifest(folder)
    source = scan(path, manifest.config.labels)
    if source_fingerprint(source) != manifest.source_fingerprint:
        raise DataError(
            f"{folder} was not built from what {path} holds now: files have come, gone"
            f" or changed. Give the photos as they were, or {_build_anew(folder)}"
        )
    plan = make_plan(source.files, source.class_names, manifest.config)
    planned = {shard.name: shard.files for shard in plan.shards}
    if set(planned) != {shard.name for shard in manifest.shards}:
        raise DataError(
            f"{folder} was built by a version that planned other shards. Take that"
            f" version, or {_build_anew(folder)}"
        )
    set_aside = _set_aside(folder)
    return Origin(folder, manifest, source, planned, set_aside, plan.record_bytes)


def _build_anew(folder: Place) -> str:
    """Say what to do where nothing can be repaired."""
    return (
        "make the set again with `alexnet records build SOURCE --out"
        f" {folder} --overwrite`."
    )


def _set_aside(folder: Place) -> set[str]:
    """Return the keys that the build set aside; none where their list is lost."""
    with suppress(OSError, DataError):
        return {bad.key for bad in read_quarantine(folder)}
    return set()


def name_photos(report: VerifyReport, origin: Origin) -> VerifyReport:
    """Return `report` with the key of every damaged record's photo."""
    files = {name: origin.files(name) for name in {bad.shard for bad in report.bad}}
    bad = []
    for record in report.bad:
        of_shard = files[record.shard]
        if record.record is not None and record.record < len(of_shard):
            record = replace(record, key=of_shard[record.record].key)
        bad.append(record)
    return replace(report, bad=tuple(bad))


def repair(
    report: VerifyReport,
    origin: Origin,
    progress: Progress = lambda done, total: None,
) -> tuple[str, ...]:
    """Write every file that `report` names again, and return their names.

    Args:
        progress: is called with the images done and the images in all.

    Raises:
        DataError: the manifest is damaged, there is not enough room, or the photos no
            longer give the bytes that were written.
        ReadError: a photo cannot be read, for a reason that lies outside of it.
    """
    manifest = origin.manifest
    broken = sorted({bad.shard for bad in report.bad})
    if MANIFEST in broken:
        raise DataError(
            f"{origin.folder / MANIFEST} is damaged, which cannot be repaired:"
            f" {_build_anew(origin.folder)}"
        )
    shards = [shard for shard in manifest.shards if shard.name in broken]
    if isinstance(origin.folder, Path):
        require_room(origin.folder, sum(shard.num_bytes for shard in shards))
    _rebuild(origin, shards, progress)
    if isinstance(origin.folder, Location):
        _send_indexes(origin.folder, manifest, broken)
    save_interop(origin.folder, manifest)
    manifest.save_labels(origin.folder)
    return tuple(broken)


def _send_indexes(folder: Location, manifest: Manifest, broken: Sequence[str]) -> None:
    """Send the indexes among the broken files anew."""
    for shard in manifest.shards:
        if index_name(shard.name) in broken:
            with local_copy(folder, shard, lambda num_bytes: None) as here:
                put_text(folder / index_name(shard.name), shard_index(here, shard))


def _rebuild(origin: Origin, shards: list[Shard], progress: Progress) -> None:
    counts = [len(origin.files(shard.name)) for shard in shards]
    files = chain.from_iterable(origin.files(shard.name) for shard in shards)
    source, manifest = origin.source, origin.manifest
    job = EncodeJob(source.store, source.class_names, manifest.config, manifest.layout)
    total = sum(counts)
    workers = useful_workers(total, num_cpus())
    progress(0, total)
    try:
        with encoder(job, workers, origin.record_bytes) as encode:
            results = _counted(encode(files), total, progress)
            for shard, number in zip(shards, counts, strict=True):
                _rebuild_shard(origin, shard, islice(results, number))
    except RemoteError:
        raise  # it says so itself
    except ReadError as error:
        raise ReadError(
            f"{error} Then run the same command again to go on: no shard was left half"
            " written."
        ) from error


def _counted(
    results: Iterable[EncodeResult], total: int, progress: Progress
) -> Iterator[EncodeResult]:
    for done, result in enumerate(results, 1):
        progress(done, total)
        yield result


def _rebuild_shard(
    origin: Origin, shard: Shard, results: Iterable[EncodeResult]
) -> None:
    stats = ShardStats()
    path, with_index = origin.folder / shard.name, origin.manifest.layout is None
    with (
        replaced_shard(origin.folder, shard, with_index) as folder,
        atomic_path(folder / shard.name) as partial,
    ):
        written = write_shard(partial, stats.collect(results))
        if Shard(shard.name, *written) == shard:
            return
        lost = "".join(f" {bad.key!r} {bad.reason}." for bad in stats.quarantined[:1])
        raise DataError(
            f"{path} cannot be repaired: the photos give other bytes than those that"
            f" were written.{lost} Either a photo has changed, or Pillow has (here"
            f" {PIL.__version__}). The shard was left as it was: put that right, or"
            f" {_build_anew(origin.folder)}"
        )
