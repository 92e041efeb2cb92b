"""Photos to a record set: plan, write the shards that are missing, then the manifest.

A finished shard has its final name and a receipt beside it; a build that is run again
goes on with the shards that lack one. The manifest is written last.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from alexnet.pipeline.beam.options import require_beam
from alexnet.pipeline.build.claim import Claim
from alexnet.pipeline.build.encode_job import EncodeJob
from alexnet.pipeline.build.finish import finish
from alexnet.pipeline.build.output import (
    ANEW,
    replace_set,
    require_ours,
    require_same,
    require_usable,
    sole_build,
)
from alexnet.pipeline.build.plan import ShardPlan, make_plan
from alexnet.pipeline.build.quarantine import read_quarantine
from alexnet.pipeline.build.state import build_settings, close_state, open_state
from alexnet.pipeline.build.writer import BadLimit, BuildProgress, Progress, ShardWriter
from alexnet.pipeline.config import MAX_BAD, BuildConfig
from alexnet.pipeline.errors import DataError, ReadError, RemoteError
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.records.manifest import MANIFEST, Manifest, load_manifest
from alexnet.pipeline.remote.place import Place, as_place
from alexnet.pipeline.source.scan import Quarantined, Source


@dataclass(frozen=True)
class BuildReport:
    """The outcome of a build; `seconds` and the rate are of this run alone."""

    data: Place
    manifest: Manifest
    # Fewer than the manifest counts where their list is gone.
    quarantined: tuple[Quarantined, ...]
    seconds: float
    encoded: int
    # The set was whole before, so that nothing was left to do.
    was_finished: bool

    @property
    def images_per_second(self) -> float:
        """Images encoded in this run a second; 0 when nothing was left to do."""
        return self.encoded / self.seconds if self.encoded else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the fields that `--json` promises."""
        return {
            "data": str(self.data),
            "storage": self.manifest.config.storage,
            "class_names": list(self.manifest.class_names),
            "splits": {
                name: {
                    "num_examples": card.num_examples,
                    "num_shards": len(card.shards),
                    "num_bytes": card.num_bytes,
                }
                for name, card in self.manifest.splits.items()
            },
            "quarantined": self.manifest.quarantined,
            "duplicates": self.manifest.duplicates,
            "duplicates_across_splits": self.manifest.duplicates_across_splits,
            "duplicates_with_other_label": self.manifest.duplicates_with_other_label,
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
        }


def build(
    source: Source,
    out: Place,
    config: BuildConfig,
    *,
    workers: int | None = None,
    max_bad: float = MAX_BAD,
    overwrite: bool = False,
    isolated: bool = False,
    beam: Sequence[str] | None = None,
    progress: Progress = lambda done, total: None,
) -> BuildReport:
    """Write the record set of `source` to `out`, or what is missing of it.

    Args:
        out: a folder, or a location in a store.
        workers: processes that decode and encode; by default one a CPU.
        max_bad: share of the files that may be set aside; a single one always may,
            unless it is 0.
        overwrite: delete a record set made with other settings first.
        isolated: let no photo end this process, in which a lone worker else encodes.
        beam: options of an Apache Beam pipeline that is to write the shards; its
            workers must see photos and `out` under the same paths or URLs. None:
            this machine's processes write them.
        progress: is called with the images done and the images in all.

    Raises:
        ConfigError: Apache Beam is asked for and not installed.
        DataError: `out` holds a set of other settings or another source, another
            process builds there, there is not enough room, or more files are bad than
            `max_bad` allows.
        ReadError: a photo cannot be read, for a reason that lies outside of it.
    """
    out, start = as_place(out), time.monotonic()
    if beam is not None:
        require_beam()
    plan = make_plan(source.files, source.class_names, config)
    settings = build_settings(source, config, [shard.name for shard in plan.shards])
    job = EncodeJob(source.store, source.class_names, config, plan.layout)
    counts = BuildProgress(plan.num_files + len(source.set_aside))
    counts.add_shard(len(source.set_aside), source.set_aside)
    workers, limit = workers or num_cpus(), BadLimit(max_bad)
    writer = ShardWriter(out, plan, job, workers, limit, counts, progress, isolated)
    require_usable(out)
    with sole_build(out) as claim, _resume_hint(out):
        if overwrite:
            claim.take()
            replace_set(out, settings)
        fingerprint = settings["source_fingerprint"]
        manifest = _finished_set(out, config, fingerprint)
        was_finished, encoded = manifest is not None, 0
        if manifest is None:
            require_ours(out, settings)
            claim.take()
            todo = writer.unfinished_shards()
            open_state(out, settings)
            before = counts.encoded
            _write(writer, todo, beam, claim)
            encoded = counts.encoded - before
            claim.require()
            manifest = finish(out, plan, config, fingerprint, source.set_aside)
        close_state(out)
    seconds = time.monotonic() - start
    bad = read_quarantine(out)
    return BuildReport(out, manifest, bad, seconds, encoded, was_finished)


def _write(
    writer: ShardWriter,
    todo: Sequence[ShardPlan],
    beam: Sequence[str] | None,
    claim: Claim,
) -> None:
    if beam is None:
        writer.write(todo, claim)
        return
    from alexnet.pipeline.build.beam import write_shards

    write_shards(writer, claim, todo, beam)


@contextmanager
def _resume_hint(out: Place) -> Iterator[None]:
    """Say how to go on where a photo cannot be read."""
    try:
        yield
    except RemoteError:
        raise  # it says so itself
    except ReadError as error:
        raise ReadError(
            f"{error} Then run the same command again to go on: finished shards are"
            f" kept in {out}."
        ) from error


def _finished_set(out: Place, config: BuildConfig, source: str) -> Manifest | None:
    """Return the manifest of `out` when it is this very set; None without any."""
    if not (out / MANIFEST).is_file():
        return None
    manifest = load_manifest(out)
    require_same(out, manifest.config.to_json(), config.to_json())
    if manifest.source_fingerprint != source:
        raise DataError(
            f"{out} was built from other files: the source has changed since. {ANEW}"
        )
    return manifest
