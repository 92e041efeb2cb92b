"""A build that has not ended: its settings and its finished shards' notes, in `.build`.

What a build finds when it is run again, and what says whose folder this is.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.config import BuildConfig
from pipeline.errors import DataError
from pipeline.files import fingerprint, write_json
from pipeline.folder import Source
from pipeline.interop import INDEX_FOLDER, TFDS_FILES
from pipeline.manifest import LABELS, MANIFEST, Shard
from pipeline.plan import ShardPlan
from pipeline.quarantine import QUARANTINE, Quarantined

STATE = ".build"
SETTINGS = "settings.json"


@dataclass(frozen=True)
class ShardNote:
    """What a finished shard holds; a shard counts when it and its note are there."""

    shard: Shard
    class_counts: tuple[int, ...]
    quarantined: tuple[Quarantined, ...]

    def save(self, out: Path) -> None:
        """Write the note beside the unfinished build's settings."""
        values = asdict(self)
        values["quarantined"] = [bad._asdict() for bad in self.quarantined]
        write_json(_note_path(out, self.shard.name), values)


def read_note(out: Path, shard: ShardPlan) -> ShardNote | None:
    """The note of a finished shard; None when the shard is not finished."""
    path = _note_path(out, shard.name)
    if not (out / shard.name).is_file() or not path.is_file():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    return ShardNote(
        Shard(**values["shard"]),
        tuple(values["class_counts"]),
        tuple(Quarantined(**bad) for bad in values["quarantined"]),
    )


def _note_path(out: Path, shard_name: str) -> Path:
    return out / STATE / f"{shard_name}.json"


def build_settings(source: Source, config: BuildConfig) -> dict[str, Any]:
    """What must be the same for a build to go on: settings and files."""
    files = [[file.key, file.label, file.size_bytes] for file in source.files]
    return {
        "config": config.to_json(),
        "source_fingerprint": fingerprint([source.class_names, files]),
        "num_files": len(files),
    }


def remove_set(out: Path) -> None:
    """Delete what a build made, and nothing else."""
    if not ((out / MANIFEST).is_file() or (out / STATE).is_dir()):
        return
    (out / STATE).mkdir(exist_ok=True)  # until all else is gone, the folder is ours
    (out / MANIFEST).unlink(missing_ok=True)  # first: a folder that has it is whole
    for name in (LABELS, QUARANTINE, *TFDS_FILES):
        (out / name).unlink(missing_ok=True)
    for pattern in (
        *("train-*.tfrecord", "validation-*.tfrecord", ".*.partial"),
        *(f"{INDEX_FOLDER}/{name}.idx" for name in ("train-*", "validation-*")),
        f"{INDEX_FOLDER}/.*.partial",
    ):
        for path in out.glob(pattern):
            path.unlink()
    with suppress(OSError):  # there is none, or someone else's files are in it
        (out / INDEX_FOLDER).rmdir()
    shutil.rmtree(out / STATE, ignore_errors=True)


def require_same(out: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Check that two sets of settings agree.

    Raises:
        DataError: they do not; the message lists what differs.
    """
    changed = [f"{k} {old.get(k)} -> {new[k]}" for k in new if old.get(k) != new[k]]
    if changed:
        raise DataError(
            f"{out} was built with other settings ({', '.join(changed)}). Say"
            " --overwrite to build anew, or choose another --out."
        )


def require_ours(out: Path, settings: dict[str, Any]) -> None:
    """Check that `out` is new, empty, or an unfinished build of the same set.

    Raises:
        DataError: it is something else, which a build must not touch.
    """
    path = out / STATE / SETTINGS
    if path.is_file():
        old = json.loads(path.read_text(encoding="utf-8"))
        require_same(out, old["config"], settings["config"])
        if old["source_fingerprint"] != settings["source_fingerprint"]:
            raise DataError(
                f"{out} holds an unfinished build of {old['num_files']} files; the"
                f" source now has {settings['num_files']}, or others. Say --overwrite"
                " to build anew, or choose another --out."
            )
        return
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file, not a folder. Choose another --out.")
    strangers = sorted(p.name for p in out.glob("[!.]*"))
    if strangers:
        raise DataError(
            f"{out} is not empty and holds no record set (it has {strangers[0]})."
            " Choose another --out."
        )


def open_state(out: Path, settings: dict[str, Any]) -> None:
    """Make the folder of the build's notes, or find it again."""
    (out / STATE).mkdir(parents=True, exist_ok=True)
    write_json(out / STATE / SETTINGS, settings)


def close_state(out: Path) -> None:
    """Delete the notes: the manifest says it all now."""
    shutil.rmtree(out / STATE, ignore_errors=True)
