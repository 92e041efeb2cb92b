"""Write the shards that a record set lacks, and count their images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from tempfile import gettempdir

from alexnet.pipeline.build.chunk import CRASHED
from alexnet.pipeline.build.claim import Claim
from alexnet.pipeline.build.encode_job import EncodeJob, EncodeResult
from alexnet.pipeline.build.encoder import encoder, useful_workers
from alexnet.pipeline.build.plan import BuildPlan, ShardPlan
from alexnet.pipeline.build.shard import drop_receipt, read_receipts
from alexnet.pipeline.build.upload import MOST_SHARDS, shard_writer
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import require_room
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.source.scan import Quarantined

# Called with the images done and the images in all.
Progress = Callable[[int, int], None]


@dataclass
class BuildProgress:
    """Images done and set aside so far, of `total`."""

    total: int
    done: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)

    @property
    def encoded(self) -> int:
        """The images done that have a record."""
        return self.done - len(self.quarantined)

    def add(self, result: EncodeResult) -> None:
        """Count one image."""
        self.add_shard(1, [result.quarantined] if result.quarantined else [])

    def add_shard(self, num_files: int, quarantined: Collection[Quarantined]) -> None:
        """Count the images of a finished shard."""
        self.done += num_files
        self.quarantined += quarantined


@dataclass(frozen=True)
class BadLimit:
    """The share of a build's images that may be set aside.

    A single one always may, unless the share is 0.
    """

    max_bad: float

    def require(self, progress: BuildProgress) -> None:
        """Check that no more images were set aside than may be.

        Raises:
            DataError: there are; the message names some of them.
        """
        allowed = int(self.max_bad * progress.total)
        allowed = max(1, allowed) if self.max_bad > 0 else 0
        bad = progress.quarantined
        if len(bad) > allowed:
            some = "; ".join(f"{item.key!r}: {item.reason}" for item in bad[:5])
            raise DataError(
                f"{len(bad)} of the first {progress.done} images cannot be used"
                f" ({some}); `max_bad={self.max_bad:g}` of {progress.total} allows"
                f" {allowed}. Restore them or allow more, then run this again: finished"
                " shards are kept. Files that are edited or deleted make another source"
                " and need `overwrite=True`."
            )


@dataclass(frozen=True)
class ShardWriter:
    """Writes the shards of a plan that `out` lacks."""

    out: Place
    plan: BuildPlan
    job: EncodeJob
    workers: int
    limit: BadLimit
    counts: BuildProgress
    progress: Progress
    # No photo ends this process, in which a lone worker else encodes.
    isolated: bool

    def unfinished_shards(self) -> list[ShardPlan]:
        """Return the shards that are still to be written, and count the others.

        What those have set aside is tried again, so that mended photos are not lost; a
        shard that has such a photo is written again.

        Raises:
            DataError: more files are bad than may be, or there is not enough room.
        """
        shards, todo = self.plan.shards, []
        finished: list[tuple[ShardPlan, list[Quarantined]]] = []
        for shard, receipt in zip(shards, read_receipts(self.out, shards), strict=True):
            if receipt:
                finished.append((shard, receipt.stats.quarantined))
            else:
                todo.append(shard)
        usable = self._usable_now(finished)
        for shard, quarantined in finished:
            if usable.isdisjoint(bad.key for bad in quarantined):
                self.counts.add_shard(len(shard.files), quarantined)
            else:
                drop_receipt(self.out, shard)
                todo.append(shard)
        self.limit.require(self.counts)
        self._require_room()
        return todo

    def _require_room(self) -> None:
        """Check that the disk takes what is left, or what waits to be sent."""
        if isinstance(self.out, Path):
            share_left = 1 - self.counts.done / self.counts.total
            require_room(self.out, round(self.plan.estimated_bytes * share_left))
        else:
            largest = max(len(shard.files) for shard in self.plan.shards)
            waiting = min(MOST_SHARDS, len(self.plan.shards)) * largest
            require_room(Path(gettempdir()), waiting * self.plan.record_bytes)

    def _usable_now(
        self, finished: list[tuple[ShardPlan, list[Quarantined]]]
    ) -> set[str]:
        """Return the keys of photos that were set aside, and can be used now."""
        retry = {
            bad.key
            for _, quarantined in finished
            for bad in quarantined
            # Its decoder could bring this process down.
            if not bad.reason.startswith(CRASHED)
        }
        flawed = (shard for shard, quarantined in finished if quarantined)
        files = [f for shard in flawed for f in shard.files if f.key in retry]
        workers = useful_workers(len(files), self.workers)
        with encoder(self.job, workers, self.plan.record_bytes) as encode:
            return {result.file.key for result in encode(files) if not result.reason}

    def write(self, todo: Sequence[ShardPlan], claim: Claim) -> None:
        """Write the shards of `todo`, which worker processes encode.

        Raises:
            DataError: more files are bad than may be, or another build has taken `out`.
            ReadError: a photo cannot be read, for a reason that lies outside of it.
        """
        files = chain.from_iterable(shard.files for shard in todo)
        given = (self.job, self.workers, self.plan.record_bytes)
        with (
            encoder(*given, isolated=self.isolated) as encode,
            shard_writer(self.out, claim, self.plan.layout) as write,
        ):
            self.show_progress()
            results = self._counted(encode(files))
            for shard in todo:
                write(shard, islice(results, len(shard.files)))

    def _counted(self, results: Iterable[EncodeResult]) -> Iterator[EncodeResult]:
        """Yield results; each is counted and held against the limit first."""
        for result in results:
            self.counts.add(result)
            if result.reason:
                self.limit.require(self.counts)
            self.show_progress()
            yield result

    def show_progress(self) -> None:
        """Tell the caller of the build how far it is."""
        self.progress(self.counts.done, self.counts.total)
