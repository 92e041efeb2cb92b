"""The same shards, written by the workers of an Apache Beam runner.

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

from alexnet.pipeline.build.plan import ShardPlan
from alexnet.pipeline.build.processes import keep_freed_memory
from alexnet.pipeline.build.quarantine import Tally
from alexnet.pipeline.build.shard import write_planned
from alexnet.pipeline.build.state import ATTEMPT, STATE, adopt_shard, read_receipt
from alexnet.pipeline.build.workers import EncodeJob
from alexnet.pipeline.errors import ConfigError, DataError, ReadError

# Beam's own runner, in this process, to try it: on one machine a build without Beam is
# faster. Options that follow these win.
LOCAL_OPTIONS = ("--runner=FnApiRunner", "--direct_running_mode=multi_threading")
# What a runner hands on of a ReadError.
UNREAD = re.compile(r"ReadError: (.*?)\.?(?: \[while running .*)?$")
# Between two looks at what the workers have finished.
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class ShardJob:
    """What a worker needs to write shards of the record set in `out`."""

    out: Path
    encode_job: EncodeJob

    def write(self, shard: ShardPlan) -> None:
        """Write a shard and its note.

        A runner may try a shard again while the first worker, believed lost, is still
        at it: each writes into a folder of its own.
        """
        keep_freed_memory()
        results = ((file, self.encode_job.encode(file)) for file in shard.files)
        num_classes = len(self.encode_job.class_names)
        all_may_be_bad = Tally(len(shard.files), 1.0, lambda done, total: None)
        with TemporaryDirectory(prefix=ATTEMPT, dir=self.out / STATE) as name:
            attempt = Path(name)
            (attempt / STATE).mkdir()
            write_planned(attempt, shard, results, num_classes, all_may_be_bad)
            adopt_shard(self.out, attempt, shard)


def write_shards(
    out: Path,
    job: EncodeJob,
    todo: Sequence[ShardPlan],
    tally: Tally,
    workers: int,
    options: Sequence[str],
) -> None:
    """Have the shards of `todo` written to `out`, and count them in `tally`.

    Args:
        options: a Beam pipeline's, such as "--runner=FlinkRunner"; without them
            `workers` threads of this process write the shards.

    Raises:
        ConfigError: there are no such options.
        DataError: Beam failed, or more files are bad than may be.
        ReadError: a photo cannot be read, for a reason that lies outside of it.
    """
    workers_option = f"--direct_num_workers={workers}"
    all_options = _parse([*LOCAL_OPTIONS, workers_option, *options])
    write = ShardJob(out.absolute(), job).write
    with _counted(out, todo, tally):
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
    tally.require_few_bad()


def _parse(words: list[str]) -> PipelineOptions:
    """A pipeline's options.

    Raises:
        ConfigError: Beam refuses one.
    """
    options, said = PipelineOptions(words), StringIO()
    try:
        with redirect_stderr(said):
            options.get_all_options()
    except SystemExit:
        # All that Beam's options can be comes before it.
        what = _last_line(said.getvalue()).partition("error: ")[2]
        raise ConfigError(f"of Beam's options, {what}") from None
    return options


def _last_line(text: str) -> str:
    """What went wrong, after the traceback or the usage that Beam begins with."""
    return text.strip().rpartition("\n")[2].rstrip(".")


@contextmanager
def _counted(out: Path, todo: Sequence[ShardPlan], tally: Tally) -> Iterator[None]:
    """Count shards in `tally` as they are finished, wherever that is."""
    pending, ended = list(todo), Event()
    tally.progress(tally.done, tally.total)

    def count() -> None:
        for shard in [*pending]:
            note = read_receipt(out, shard)
            if note is not None:
                pending.remove(shard)
                tally.add_shard(len(shard.files), note.quarantined)
        tally.progress(tally.done, tally.total)

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
