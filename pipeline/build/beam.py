"""Write the same shards on the workers of an Apache Beam runner.

The photos and the record set must have the same paths on every worker, as on a shared
file system; Beam itself carries only which files belong to which shard.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from alexnet.pipeline.build.encode_job import EncodeJob, keep_freed_memory
from alexnet.pipeline.build.plan import ShardPlan
from alexnet.pipeline.build.shard import adopt_shard, read_receipt, write_planned
from alexnet.pipeline.build.state import ATTEMPT, STATE
from alexnet.pipeline.build.writer import ShardWriter
from alexnet.pipeline.errors import ConfigError, DataError, ReadError

# Beam's own runner, in this process, to try it: on one machine a build without Beam is
# faster. Options that follow these win.
LOCAL_OPTIONS = ("--runner=FnApiRunner", "--direct_running_mode=multi_threading")
# The text of a ReadError in what a runner raises.
UNREAD = re.compile(r"ReadError: (.*?)\.?(?: \[while running .*)?$")
# Between two looks for shards that the workers have finished.
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class ShardJob:
    """Everything a Beam worker needs to write shards of the record set in `out`."""

    out: Path
    encode_job: EncodeJob

    def write(self, shard: ShardPlan) -> None:
        """Write a shard and its receipt.

        A runner may try a shard again while the first worker, believed lost, is still
        at it: each writes into a folder of its own.
        """
        keep_freed_memory()
        results = map(self.encode_job.encode, shard.files)
        with TemporaryDirectory(prefix=ATTEMPT, dir=self.out / STATE) as name:
            attempt = Path(name)
            (attempt / STATE).mkdir()
            write_planned(attempt, shard, results)
            adopt_shard(self.out, attempt, shard)


def write_shards(
    writer: ShardWriter, out: Path, todo: Sequence[ShardPlan], options: Sequence[str]
) -> None:
    """Have Beam write the shards of `todo`, and count them in `writer`.

    Args:
        out: the writer's folder.
        options: a Beam pipeline's, such as "--runner=FlinkRunner"; without them
            threads of this process write the shards.

    Raises:
        ConfigError: there are no such options.
        DataError: Beam failed, or more files are bad than may be.
        ReadError: a photo cannot be read, for a reason that lies outside of it.
    """
    workers_option = f"--direct_num_workers={writer.workers}"
    all_options = _parse([*LOCAL_OPTIONS, workers_option, *options])
    write = ShardJob(out.absolute(), writer.job).write
    with _counted(writer, todo):
        try:
            with beam.Pipeline(options=all_options) as pipeline:
                (
                    pipeline
                    | beam.Create(todo)  # ShardPlan
                    | beam.Reshuffle()  # ShardPlan, to whichever worker is free
                    | beam.Map(write)  # None
                )
        except Exception as error:  # a runner raises what it likes
            reason = _last_line(str(error))
            if unread := UNREAD.search(reason):
                raise ReadError(f"{unread[1]}.") from error
            raise DataError(
                f"Apache Beam failed: {reason}. Finished shards are kept; run the same"
                " command again to go on."
            ) from error
    writer.limit.require(writer.counts)


def _parse(words: list[str]) -> PipelineOptions:
    """Return a pipeline's options."""
    options, complaint = PipelineOptions(words), StringIO()
    try:
        with redirect_stderr(complaint):
            options.get_all_options()
    except SystemExit:
        # The usage, with all that Beam's options can be, comes before it.
        reason = _last_line(complaint.getvalue()).partition("error: ")[2]
        raise ConfigError(f"the options of the Beam pipeline: {reason}") from None
    return options


def _last_line(text: str) -> str:
    """Return the error that follows the traceback or the usage Beam begins with."""
    return text.strip().rpartition("\n")[2].rstrip(".")


@contextmanager
def _counted(writer: ShardWriter, todo: Sequence[ShardPlan]) -> Iterator[None]:
    """Count shards in `writer` as they are finished, on whichever machine."""
    pending, ended = list(todo), Event()
    writer.show_progress()

    def count() -> None:
        for shard in [*pending]:
            receipt = read_receipt(writer.out, shard)
            if receipt is not None:
                pending.remove(shard)
                writer.counts.add_shard(len(shard.files), receipt.stats.quarantined)
        writer.show_progress()

    def watch() -> None:
        while not ended.wait(LOOK_SECONDS):
            count()

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        count()
