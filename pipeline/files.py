"""Files that are whole or absent: atomic writing, fingerprints, room on the disk.

Also sizes, numbers and names as they stand in sentences.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from alexnet.pipeline.errors import DataError

# Also of a path that was made of one, which keeps a single slash of `//`.
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")


def require_local(path: Path | str) -> None:
    """Check that a path is no URL, of which a folder `gs:` would be made.

    Raises:
        DataError: it is a URL.
    """
    if URL.match(str(path)):
        raise DataError(
            f"{URL.sub(lambda url: f'{url[1]}://', str(path), count=1)} is a URL. Give"
            " a file or folder on this machine: download it first, upload what was made"
            " afterwards, or mount the bucket."
        )


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path, which is renamed to `path` when the block succeeds.

    The temporary name is always the same, so that a killed run leaves at most one such
    file behind and the next run writes over it.
    """
    partial = partial_path(path)
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)  # a failed write names no file
        raise
    finally:
        partial.unlink(missing_ok=True)


def partial_path(path: Path) -> Path:
    """Return the path at which a file is written before it is whole."""
    return path.with_name(f".{path.name}.partial")


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on the disk itself, where the file system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a small text file so that it is whole or absent."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON so that the file is whole or absent."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of a JSON value in hexadecimal, equal for equal values."""
    return hashlib.sha256(compact_json(value).encode()).hexdigest()


def compact_json(value: Any) -> str:
    """Return a value as JSON in its one form: equal values give equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def require_room(folder: Path, needed_bytes: int) -> None:
    """Check that the disk under `folder` has room, before anything is written.

    Raises:
        DataError: it has not.
    """
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < needed_bytes:
        raise DataError(
            f"not enough room for {folder}: about {format_bytes(needed_bytes)} are"
            f" needed, {format_bytes(free_bytes)} are free. Free some, choose another"
            " folder, or store less (a smaller side or quality)."
        )


def cache_home() -> Path:
    """Return the user's cache folder; one that holds nothing where there is no home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # no HOME, and a user id without a name
        return Path(os.devnull)


def format_bytes(num_bytes: float) -> str:
    """Return a size for people: 18432 -> '18.0 KiB'."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if num_bytes < 1024:
            return (
                f"{num_bytes:.0f} {unit}"
                if unit == "bytes"
                else f"{num_bytes:.1f} {unit}"
            )
        num_bytes /= 1024
    return f"{num_bytes:.1f} TiB"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number of things: '1 line', '1,200 lines', '2 classes'."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def name_some(names: Sequence[str], most: int = 5) -> str:
    """Return at most `most` names for a sentence: 'cat, dog, ... (10,000 in all)'."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])}, ... ({len(names):,} in all)"


def nearest(name: str, names: Iterable[str]) -> str:
    """Return for a sentence which of `names` a mistyped one may mean, or all."""
    choices = sorted(names)
    near = get_close_matches(name, choices, n=1)
    return f"the nearest is {near[0]}" if near else f"there are {', '.join(choices)}"
