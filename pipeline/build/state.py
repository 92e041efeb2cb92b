"""The state of an unfinished build: its settings and its shards' receipts, in `.build`.

A build that is run again goes on from it; it also names the files that the build made.
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
# Beginning of the names of folders in which Beam's workers write.
ATTEMPT = "attempt-"
# The files in STATE that are a build's: other programs may use the folder's name.
STATE_FILES = re.compile(rf"\.?(settings|{SHARD_NAME})\.json(\.partial)?|{ATTEMPT}.*")


@dataclass(frozen=True)
class ShardReceipt:
    """The contents of a finished shard, which counts when it and its receipt exist."""

    shard: Shard
    class_counts: tuple[int, ...]
    quarantined: tuple[Quarantined, ...]
    # Of the photos that are not set aside, one after another.
    digests: bytes
    # How many photos there are of each shorter side, pixels.
    shorter_sides: dict[int, int]

    def save(self, out: Path) -> None:
        """Write the receipt beside the unfinished build's settings."""
        values = asdict(self)
        values["quarantined"] = [bad._asdict() for bad in self.quarantined]
        values["digests"] = self.digests.hex()
        write_json(_receipt_path(out, self.shard.name), values)


def read_receipt(out: Path, shard: ShardPlan) -> ShardReceipt | None:
    """Return the receipt of a shard; None where either is missing or damaged."""
    path, file = _receipt_path(out, shard.name), out / shard.name
    if not file.is_file() or not path.is_file():
        return None
    with suppress(AttributeError, KeyError, TypeError, ValueError):
        receipt = _receipt(json.loads(path.read_text(encoding="utf-8")))
        return receipt if file.stat().st_size == receipt.shard.num_bytes else None
    return None


def _receipt(values: dict[str, Any]) -> ShardReceipt:
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
    """Have a finished shard written again."""
    _receipt_path(out, shard.name).unlink()


def adopt_shard(out: Path, attempt: Path, shard: ShardPlan) -> None:
    """Move a finished shard, then its receipt, from `attempt` to `out`."""
    for path in (attempt / shard.name, _receipt_path(attempt, shard.name)):
        path.replace(out / path.relative_to(attempt))


def source_fingerprint(source: Source) -> str:
    """Return a hash of a source's files and classes, equal for equal sources."""
    return fingerprint([source.class_names, source.files])


def build_settings(
    source: Source, config: BuildConfig, shards: list[str]
) -> dict[str, Any]:
    """Return the settings and files that must be the same for a build to go on."""
    return {
        "config": config.to_json(),
        "source_fingerprint": source_fingerprint(source),
        "num_files": len(source.files),
        "shards": shards,
    }


def settings_of(manifest: Manifest) -> dict[str, Any]:
    """Return the settings of the build that made a finished set."""
    examples = sum(card.num_examples for card in manifest.splits.values())
    return {
        "config": manifest.config.to_json(),
        "source_fingerprint": manifest.source_fingerprint,
        "num_files": examples + manifest.quarantined,
        "shards": [shard.name for shard in manifest.shards],
    }


def read_settings(out: Path) -> dict[str, Any] | None:
    """Return the settings of the unfinished build in `out`; None without one.

    Raises:
        DataError: they are damaged, or another program's.
    """
    path = out / STATE / SETTINGS
    if not path.is_file():
        return None
    with suppress(AttributeError, ConfigError, KeyError, TypeError, ValueError):
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        BuildConfig.from_json(values["config"])
        are_shards = all(re.fullmatch(SHARD_NAME, name) for name in values["shards"])
        if are_shards and {"source_fingerprint", "num_files"} <= set(values):
            return values
    raise DataError(
        f"{path} is damaged, or of another version or program, and nothing else names"
        f" the files of the unfinished build. Choose another `out`, or remove {out} by"
        " hand first."
    )


def open_state(out: Path, settings: dict[str, Any]) -> None:
    """Make the folder of the build's state, or find it again."""
    if not (out / STATE / SETTINGS).is_file():
        drop_receipts(out)  # of a build that was killed while it deleted them
    (out / STATE).mkdir(parents=True, exist_ok=True)
    write_json(out / STATE / SETTINGS, settings)


def close_state(out: Path) -> None:
    """Delete the settings, without which receipts are void, then the receipts."""
    with suppress(OSError):
        (out / STATE / SETTINGS).unlink(missing_ok=True)
    drop_receipts(out)


def drop_receipts(out: Path) -> None:
    """Delete the receipts of finished shards, and files that killed workers left."""
    with suppress(OSError):
        for path in (out / STATE).iterdir():
            if not STATE_FILES.fullmatch(path.name) or path.name == SETTINGS:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
