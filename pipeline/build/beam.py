"""Write the same shards on the workers of an Apache Beam runner.

The photos and the record set must have the same paths on every worker, as on a shared
file system, or lie in a store; Beam itself carries only the names of shards. A list of
each one's files, its receipt when it is whole and the shard itself lie in the record
set's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from alexnet.pipeline.beam.run import require_seen, run_on_beam
from alexnet.pipeline.build.claim import Claim
from alexnet.pipeline.build.encode_job import EncodeJob
from alexnet.pipeline.build.encoder import EncodeAll, encoder
from alexnet.pipeline.build.plan import ShardPlan
from alexnet.pipeline.build.shard import (
    adopt_shard,
    new_receipts,
    send_shard,
    write_planned,
)
from alexnet.pipeline.build.state import ATTEMPT, STATE, state_fingerprint
from alexnet.pipeline.build.work_list import load_work_list, save_work_lists
from alexnet.pipeline.build.writer import ShardWriter
from alexnet.pipeline.errors import BeamError, DataError
from alexnet.pipeline.remote.place import Place


@dataclass(frozen=True)
class ShardJob:
    """Everything a Beam worker needs to write shards of the record set in `out`."""

    out: Place
    claim: Claim
    encode_job: EncodeJob
    # Estimate.
    record_bytes: int
    # Of the build's settings.
    fingerprint: str

    @contextmanager
    def open(self) -> Iterator[Callable[[str], None]]:
        """Yield what writes the shard of a name.

        A process decodes the photos, which a photo may end without this one.

        Raises:
            DataError: this worker sees no `out`, or may start no process.
        """
        if isinstance(self.out, Path):
            require_seen(self.out / STATE)
        job, size = self.encode_job, self.record_bytes
        with encoder(job, 1, size, isolated=True) as encode:
            yield lambda name: self.write(load_work_list(self.out, name), encode)

    def write(self, shard: ShardPlan, encode: EncodeAll) -> None:
        """Write a shard and its receipt.

        A runner may try a shard again while the first worker, believed lost, is still
        at it: each writes into a folder of its own.

        Raises:
            DataError: the place is another build's by now.
            RemoteError: the store fails for long.
        """
        # Beside what it becomes, so that it needs no copy; of a store on this disk.
        parent = self.out / STATE if isinstance(self.out, Path) else None
        with TemporaryDirectory(prefix=ATTEMPT, dir=parent) as name:
            self._require_current()  # a build that begins later deletes this folder
            attempt = Path(name)
            (attempt / STATE).mkdir()
            write_planned(attempt, shard, encode(shard.files))
            if isinstance(self.out, Path):
                adopt_shard(self.out, attempt, shard)
            else:
                self._require_current()
                send_shard(self.out, attempt, shard, self.encode_job.layout)

    def _require_current(self) -> None:
        """Check that the build goes on, which may have ended without its workers."""
        if state_fingerprint(self.out) != self.fingerprint:
            raise DataError(f"the build in {self.out} has ended, or another has begun")
        self.claim.require()


def write_shards(
    writer: ShardWriter, claim: Claim, todo: Sequence[ShardPlan], options: Sequence[str]
) -> None:
    """Have Beam write the shards of `todo`, and count them in `writer`.

    Args:
        claim: to the writer's place.
        options: a Beam pipeline's, such as "--runner=FlinkRunner"; without them
            threads of this process write the shards.

    Raises:
        ConfigError: there are no such options.
        DataError: Beam failed, or more files are bad than may be.
        ReadError: a photo cannot be read, for a reason that lies outside of it.
    """
    # Workers may run in another folder.
    out, pending = writer.out.absolute(), list(todo)
    size, fingerprint = writer.plan.record_bytes, state_fingerprint(out)
    job = ShardJob(out, claim, writer.job, size, fingerprint)

    def count() -> None:
        """Count shards as they are finished, on whichever machine."""
        for shard, receipt in new_receipts(out, pending):
            pending.remove(shard)
            writer.counts.add_shard(len(shard.files), receipt.stats.quarantined)
        writer.show_progress()

    save_work_lists(out, todo)
    writer.show_progress()
    names = [shard.name for shard in todo]
    try:
        run_on_beam(job, names, options, writer.workers, look=count)
    except BeamError as error:
        raise DataError(
            f"{error} Finished shards are kept; run the same command again to go on."
        ) from error
    writer.limit.require(writer.counts)
