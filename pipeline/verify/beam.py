"""Inspect shards on the workers of an Apache Beam runner.

Beam carries what the manifest says of each. The workers read the bytes where they lie,
or fetch them from a store, and answer through a folder that all of them see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alexnet.pipeline.beam.answers import ask_workers
from alexnet.pipeline.beam.run import require_seen
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.records.manifest import MANIFEST, Shard
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.verify.inspection import Inspection, Inspector


def inspect_on_beam(
    inspector: Inspector,
    shards: Sequence[Shard],
    options: Sequence[str],
    workers: int,
    answers: Path | None,
    count: Callable[[int], None],
) -> list[Inspection]:
    """Return what Beam's workers find in the shards, in their order.

    Args:
        options: a Beam pipeline's, such as "--runner=FlinkRunner"; without them
            `workers` threads of this process inspect.
        answers: a folder that all workers see; by default the record set's.
        count: is called with a shard's bytes when it is done.

    Raises:
        ConfigError: there are no such options, or no folder to answer in.
        DataError: a worker sees no record set, or Beam has failed.
        RemoteError: a store fails for long.
    """
    # Workers may run in another folder.
    far = replace(inspector, place=inspector.place.absolute())
    with _answer_folder(answers or inspector.place) as folder:
        found = ask_workers(
            partial(inspect_there, far),
            shards,
            folder,
            options,
            workers,
            lambda shard: count(shard.num_bytes),
        )
    return [Inspection.from_json(values) for values in found]


def inspect_there(inspector: Inspector, shard: Shard) -> dict[str, Any]:
    """Return what a worker finds in a shard, for JSON.

    Raises:
        DataError: this worker sees no record set, of which all shards would be missing.
        RemoteError: a store fails for long.
    """
    if isinstance(inspector.place, Path):
        require_seen(inspector.place / MANIFEST)
    return inspector.inspect(shard, lambda num_bytes: None).to_json()


@contextmanager
def _answer_folder(parent: Place) -> Iterator[Path]:
    """Yield a new folder in `parent`, which is deleted afterwards.

    Raises:
        ConfigError: `parent` is in a store, or no folder can be made there.
    """
    give = "Give one that they and this machine can write to as `answers`."
    if not isinstance(parent, Path):
        raise ConfigError(f"Beam's workers answer in a folder, not in {parent}. {give}")
    try:
        # A worker that was believed lost may still write there.
        folder = TemporaryDirectory(
            prefix=".verify-", dir=parent, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise ConfigError(
            f"Beam's workers need a folder in {parent} to answer in, which cannot be"
            f" made: {error.strerror}. {give}"
        ) from error
    with folder as name:
        yield Path(name)
