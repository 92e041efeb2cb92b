"""A build that has not ended: its settings and its finished shards' notes, in `.build`.

What a build finds when it is run again, and what says which files it has made.
"""

from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alexnet.pipeline.build.plan import ShardPlan
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import ConfigError, DataError
from alexnet.pipeline.files import fingerprint, write_json
from alexnet.pipeline.records.manifest import SHARD_NAME, Manifest, Shard
from alexnet.pipeline.source.scan import Quarantined, Source

STATE = ".build"
SETTINGS = "settings.json"
LOCK = "lock"
# How the folders begin in which Beam's workers write.
ATTEMPT = "attempt-"
# What of STATE goes with its build; others' programs may use the name as well.
NOTES = re.compile(rf"\.?(settings|{SHARD_NAME})\.json(\.partial)?|{ATTEMPT}.*")


@dataclass(frozen=True)
class ShardReceipt:
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
        write_json(_receipt_path(out, self.shard.name), values)


def read_receipt(out: Path, shard: ShardPlan) -> ShardReceipt | None:
    """The note of a finished shard; None when it is not, or its note is damaged."""
    path, file = _receipt_path(out, shard.name), out / shard.name
    if not file.is_file() or not path.is_file():
        return None
    with suppress(AttributeError, KeyError, TypeError, ValueError):
        note = _note(json.loads(path.read_text(encoding="utf-8")))
        return note if file.stat().st_size == note.shard.num_bytes else None
    return None


def _note(values: dict[str, Any]) -> ShardReceipt:
    return ShardReceipt(
        Shard(**values["shard"]),
        tuple(values["class_counts"]),
        tuple(Quarantined(**bad) for bad in values["quarantined"]),
        bytes.fromhex(values["digests"]),
        {int(side): count for side, count in values["shorter_sides"].items()},
    )


def _receipt_path(out: Path, shard_name: str) -> Path:
    return out / STATE / f"{shard_name}.json"


def drop_receipt(out: Path, shard: ShardPlan) -> None:
    """Have a finished shard made again."""
    _receipt_path(out, shard.name).unlink()


def adopt_shard(out: Path, attempt: Path, shard: ShardPlan) -> None:
    """Move a finished shard, then its note, here from `attempt` on the same disk."""
    for path in (attempt / shard.name, _receipt_path(attempt, shard.name)):
        path.replace(out / path.relative_to(attempt))


def source_fingerprint(source: Source) -> str:
    """A hash of the files and classes of a source; equal for equal sources."""
    return fingerprint([source.class_names, source.files])


def build_settings(
    source: Source, config: BuildConfig, shards: list[str]
) -> dict[str, Any]:
    """What must be the same for a build to go on: settings and files."""
    return {
        "config": config.to_json(),
        "source_fingerprint": source_fingerprint(source),
        "num_files": len(source.files),
        "shards": shards,
    }


def settings_of(manifest: Manifest) -> dict[str, Any]:
    """The settings of the build that made a finished set."""
    examples = sum(card.num_examples for card in manifest.splits.values())
    return {
        "config": manifest.config.to_json(),
        "source_fingerprint": manifest.source_fingerprint,
        "num_files": examples + manifest.quarantined,
        "shards": [shard.name for shard in manifest.shards],
    }


def read_settings(out: Path) -> dict[str, Any] | None:
    """The settings of the unfinished build in `out`; None where there is none.

    Raises:
        DataError: they are damaged, or another program's.
    """
    path = out / STATE / SETTINGS
    if not path.is_file():
        return None
    with suppress(AttributeError, ConfigError, KeyError, TypeError, ValueError):
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        BuildConfig.from_json(values["config"])
        named = all(re.fullmatch(SHARD_NAME, name) for name in values["shards"])
        if named and {"source_fingerprint", "num_files"} <= set(values):
            return values
    raise DataError(
        f"{path} is damaged or of another version, or is another program's: which"
        f" files an unfinished build made is not known. Choose another `out`, or remove"
        f" {out} by hand first."
    )


def open_state(out: Path, settings: dict[str, Any]) -> None:
    """Make the folder of the build's notes, or find it again."""
    if not (out / STATE / SETTINGS).is_file():
        drop_receipts(out)  # of a build that was killed while it deleted them
    (out / STATE).mkdir(parents=True, exist_ok=True)
    write_json(out / STATE / SETTINGS, settings)


def close_state(out: Path) -> None:
    """Delete the settings, without which notes are void, then the notes."""
    with suppress(OSError):
        (out / STATE / SETTINGS).unlink(missing_ok=True)
    drop_receipts(out)


def drop_receipts(out: Path) -> None:
    """Delete the notes of finished shards, and what killed workers left behind."""
    with suppress(OSError):
        for path in (out / STATE).iterdir():
            if not NOTES.fullmatch(path.name) or path.name == SETTINGS:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
