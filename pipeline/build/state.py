"""The state of an unfinished build: its settings, in `.build` beside the receipts.

A build that is run again goes on from it; it also names the files that the build made.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from itertools import islice
from typing import Any

from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import ConfigError, DataError
from alexnet.pipeline.files import compact_json, fingerprint
from alexnet.pipeline.records.manifest import SHARD_NAME, Manifest
from alexnet.pipeline.remote.place import Place, make_folder, names_in, put_json, remove
from alexnet.pipeline.source.scan import Source

STATE = ".build"
SETTINGS = "settings.json"
LOCK = "lock"
# That are hashed at once.
FILES_AT_ONCE = 1000
# Beginning of the names of folders in which Beam's workers write.
ATTEMPT = "attempt-"
# Ending of the names of lists of the files that they write.
WORK_LIST = ".files.json"
# The files in STATE that are a build's: other programs may use the folder's name.
STATE_FILES = re.compile(
    rf"\.?(settings|{SHARD_NAME}(\.files)?)\.json(\.partial)?|{ATTEMPT}.*"
)


def source_fingerprint(source: Source) -> str:
    """Return a hash of a source's files and classes, equal for equal sources.

    It is the `fingerprint` of a list of both, which would not fit into memory.
    """
    digest, comma = hashlib.sha256(), ""
    digest.update(f"[{compact_json(source.class_names)},[".encode())
    files = iter(source.files)
    while some := list(islice(files, FILES_AT_ONCE)):
        digest.update(f"{comma}{compact_json(some)[1:-1]}".encode())
        comma = ","
    digest.update(b"]]")
    return digest.hexdigest()


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


def read_settings(out: Place) -> dict[str, Any] | None:
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
        f"{path} is damaged or of another version or program, and nothing else names"
        f" the files of the unfinished build. Choose another `out`, or remove {out} by"
        " hand first."
    )


def state_fingerprint(out: Place) -> str:
    """Return a hash of the settings of the unfinished build in `out`."""
    return fingerprint(read_settings(out))


def open_state(out: Place, settings: dict[str, Any]) -> None:
    """Make the folder of the build's state, or find it again."""
    if not (out / STATE / SETTINGS).is_file():
        drop_receipts(out)  # of a build that was killed while it deleted them
    make_folder(out / STATE)
    put_json(out / STATE / SETTINGS, settings)


def close_state(out: Place) -> None:
    """Delete the settings, without which receipts are void, then the receipts."""
    with suppress(OSError):
        (out / STATE / SETTINGS).unlink(missing_ok=True)
    drop_receipts(out)


def drop_receipts(out: Place) -> None:
    """Delete the receipts of finished shards, and files that killed workers left."""
    with suppress(OSError):
        for name in [*names_in(out / STATE)]:
            if STATE_FILES.fullmatch(name) and name != SETTINGS:
                remove(out / STATE / name)
