"""A build that has not ended: its settings and its finished shards' notes, in `.build`.

What a build finds when it is run again, and what says whose folder this is.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from pipeline.config import BuildConfig
from pipeline.duplicates import DUPLICATES
from pipeline.errors import DataError
from pipeline.files import fingerprint, write_json
from pipeline.folder import Source
from pipeline.interop import INDEX_FOLDER, TFDS_FILES
from pipeline.manifest import LABELS, MANIFEST, Shard
from pipeline.plan import ShardPlan
from pipeline.quarantine import QUARANTINE, Quarantined

STATE = ".build"
SETTINGS = "settings.json"
LOCK = "lock"


@dataclass(frozen=True)
class ShardNote:
    """What a finished shard holds; a shard counts when it and its note are there."""

    shard: Shard
    class_counts: tuple[int, ...]
    quarantined: tuple[Quarantined, ...]
    # Of the photos that are not set aside, one after another.
    digests: bytes
    # How many photos there are of each shorter side, pixels.
    shorter_sides: dict[int, int]

    def save(self, out: Path) -> None:
        """Write the note beside the unfinished build's settings."""
        values = asdict(self)
        values["quarantined"] = [bad._asdict() for bad in self.quarantined]
        values["digests"] = self.digests.hex()
        write_json(_note_path(out, self.shard.name), values)


def read_note(out: Path, shard: ShardPlan) -> ShardNote | None:
    """The note of a finished shard; None when it is not, or its note is damaged."""
    path, file = _note_path(out, shard.name), out / shard.name
    if not file.is_file() or not path.is_file():
        return None
    with suppress(AttributeError, KeyError, TypeError, ValueError):
        note = _note(json.loads(path.read_text(encoding="utf-8")))
        return note if file.stat().st_size == note.shard.num_bytes else None
    return None


def _note(values: dict[str, Any]) -> ShardNote:
    return ShardNote(
        Shard(**values["shard"]),
        tuple(values["class_counts"]),
        tuple(Quarantined(**bad) for bad in values["quarantined"]),
        bytes.fromhex(values["digests"]),
        {int(side): count for side, count in values["shorter_sides"].items()},
    )


def _note_path(out: Path, shard_name: str) -> Path:
    return out / STATE / f"{shard_name}.json"


def adopt_shard(out: Path, attempt: Path, shard: ShardPlan) -> None:
    """Move a finished shard, then its note, here from `attempt` on the same disk."""
    for path in (attempt / shard.name, _note_path(attempt, shard.name)):
        path.replace(out / path.relative_to(attempt))


def build_settings(source: Source, config: BuildConfig) -> dict[str, Any]:
    """What must be the same for a build to go on: settings and files."""
    return {
        "config": config.to_json(),
        "source_fingerprint": fingerprint([source.class_names, source.files]),
        "num_files": len(source.files),
    }


def remove_set(out: Path) -> None:
    """Delete what a build made, and nothing else."""
    if not is_set(out):
        return
    (out / STATE).mkdir(exist_ok=True)  # until all else is gone, the folder is ours
    (out / MANIFEST).unlink(missing_ok=True)  # first: a folder that has it is whole
    for name in (LABELS, QUARANTINE, DUPLICATES, *TFDS_FILES):
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
    close_state(out)


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


def require_usable(out: Path) -> None:
    """Check that `out` is new, empty, or a record set, finished or not.

    Raises:
        DataError: it is something else, which a build must not touch.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file, not a folder. Choose another --out.")
    if not is_set(out):
        _require_empty(out)


def is_set(out: Path) -> bool:
    """Whether a folder holds a record set, finished or not."""
    return (out / MANIFEST).is_file() or (out / STATE).is_dir()


def _require_empty(out: Path) -> None:
    strangers = sorted(path.name for path in out.glob("[!.]*"))
    if strangers:
        raise DataError(
            f"{out} is not empty and holds no record set (it has {strangers[0]})."
            " Choose another --out."
        )


@contextmanager
def sole_build(out: Path) -> Iterator[None]:
    """Keep other builds from `out`; a folder made for that goes when it stays empty.

    Raises:
        DataError: another process builds there.
    """
    state = out / STATE
    made = [path for path in (out, *out.parents) if not path.exists()]
    lock = _lock(out)
    try:
        yield
    finally:
        with suppress(OSError):
            (state / LOCK).unlink()
        for folder in (state, *made):
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        if lock:
            lock.close()


def _lock(out: Path) -> FileIO | None:
    """The locked file, which the system unlocks when this process ends.

    None where there are no locks, as on some network file systems, or where nothing can
    be written: the build's own first file will say so better.
    """
    path = out / STATE / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = FileIO(path, "a")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        return None
    raise DataError(
        f"another process is building in {out} at this moment. Wait for it to end, or"
        " choose another --out."
    )


def require_ours(out: Path, settings: dict[str, Any]) -> None:
    """Check that `out` is empty, or an unfinished build of the same set.

    Raises:
        DataError: it is another set, or holds what no build made.
    """
    path = out / STATE / SETTINGS
    if not path.is_file():
        _require_empty(out)
        return
    old = _read_settings(path)
    require_same(out, old["config"], settings["config"])
    if old["source_fingerprint"] != settings["source_fingerprint"]:
        raise DataError(
            f"{out} holds an unfinished build of {old['num_files']} files; the"
            f" source now has {settings['num_files']}, or others. Say --overwrite"
            " to build anew, or choose another --out."
        )


def _read_settings(path: Path) -> dict[str, Any]:
    """The settings of an unfinished build.

    Raises:
        DataError: they are damaged.
    """
    with suppress(ValueError):
        values = json.loads(path.read_text(encoding="utf-8"))
        known = isinstance(values, dict) and isinstance(values.get("config"), dict)
        if known and {"source_fingerprint", "num_files"} <= set(values):
            return values
    raise DataError(
        f"{path} is damaged: what the unfinished build was to be is lost. Say"
        " --overwrite to build anew, or choose another --out."
    )


def open_state(out: Path, settings: dict[str, Any]) -> None:
    """Make the folder of the build's notes, or find it again."""
    if not (out / STATE / SETTINGS).is_file():
        close_state(out)  # notes of another build, killed while it deleted them
    (out / STATE).mkdir(parents=True, exist_ok=True)
    write_json(out / STATE / SETTINGS, settings)


def close_state(out: Path) -> None:
    """Delete the settings, without which notes are void, then the notes."""
    with suppress(OSError):
        (out / STATE / SETTINGS).unlink(missing_ok=True)
        for path in (out / STATE).iterdir():
            if path.is_dir():  # of a killed worker
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()
