"""Write the same shards on the workers of an Apache Beam runner.

The photos and the record set must have the same paths on every worker, as on a shared
file system; Beam itself carries only which files belong to which shard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from alexnet.pipeline.beam.run import run_on_beam
from alexnet.pipeline.build.encode_job import EncodeJob, keep_freed_memory
from alexnet.pipeline.build.plan import ShardPlan
from alexnet.pipeline.build.shard import adopt_shard, read_receipt, write_planned
from alexnet.pipeline.build.state import ATTEMPT, STATE
from alexnet.pipeline.build.writer import ShardWriter
from alexnet.pipeline.errors import BeamError, DataError


@dataclass(frozen=True)
class ShardJob:
    """Everything a Beam worker needs to write shards of the record set in `out`."""

    out: Path
    encode_job: EncodeJob

    @contextmanager
    def open(self) -> Iterator[Callable[[ShardPlan], None]]:
        """Yield what writes a shard."""
        keep_freed_memory()
        yield self.write

    def write(self, shard: ShardPlan) -> None:
        """Write a shard and its receipt.

        A runner may try a shard again while the first worker, believed lost, is still
        at it: each writes into a folder of its own.
        """
        results = map(self.encode_job.encode, shard.files)
        with TemporaryDirectory(prefix=ATTEMPT, dir=self.out / STATE) as name:
            attempt = Path(name)
            (attempt / STATE).mkdir()
            write_planned(attempt, shard, results)
            adopt_shard(self.out, attempt, shard)


def write_shards(
    writer: ShardWriter, todo: Sequence[ShardPlan], options: Sequence[str]
) -> None:
    """Have Beam write the shards of `todo`, and count them in `writer`.

    Args:
        options: a Beam pipeline's, such as "--runner=FlinkRunner"; without them
            threads of this process write the shards.

    Raises:
        ConfigError: there are no such options.
        DataError: Beam failed, or more files are bad than may be.
        ReadError: a photo cannot be read, for a reason that lies outside of it.
    """
    job, pending = ShardJob(writer.out.absolute(), writer.job), list(todo)

    def count() -> None:
        """Count shards as they are finished, on whichever machine."""
        for shard in [*pending]:
            receipt = read_receipt(writer.out, shard)
            if receipt is not None:
                pending.remove(shard)
                writer.counts.add_shard(len(shard.files), receipt.stats.quarantined)
        writer.show_progress()

    writer.show_progress()
    try:
        run_on_beam(job, todo, options, writer.workers, look=count)
    except BeamError as error:
        raise DataError(
            f"{error} Finished shards are kept; run the same command again to go on."
        ) from error
    writer.limit.require(writer.counts)
