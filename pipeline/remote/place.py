"""A place is a path on this machine or a location behind a URL; both are joined alike.

Small files are put there whole or not at all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import atomic_path
from alexnet.pipeline.remote.listing import list_files
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.url import URL

CUT_URL = re.compile(r"[A-Za-z][\w+.-]+:/[^/]")
Place: TypeAlias = Path | Location


def as_place(place: str | os.PathLike[str] | Location) -> Place:
    """Return the path or the location that a user's words are.

    Raises:
        DataError: it is a Path made of a URL, of which that keeps one slash.
    """
    if isinstance(place, Location):
        return place
    text = os.fspath(place)
    if not isinstance(place, str):
        require_uncut(text)
    if not URL.match(text):
        return Path(text)
    parts = urlsplit(text)
    return Path(unquote(parts.path)) if parts.scheme == "file" else Location(text)


def require_uncut(text: str) -> None:
    """Check that the text of a path is not what is left of a URL.

    Raises:
        DataError: it is.
    """
    if CUT_URL.match(text):
        raise DataError(
            f"{text.replace(':/', '://', 1)} is a URL, of which a Path keeps one slash."
            " Give it as text."
        )


def put_bytes(place: Place, data: bytes) -> None:
    """Write a small file so that it is whole or absent."""
    if isinstance(place, Location):
        place.write_bytes(data)
        return
    with atomic_path(place) as partial:
        partial.write_bytes(data)


def put_text(place: Place, text: str) -> None:
    """Write a small text file so that it is whole or absent."""
    put_bytes(place, text.encode())


def put_json(place: Place, value: Any) -> None:
    """Write `value` as indented JSON so that the file is whole or absent."""
    put_text(place, json.dumps(value, indent=2) + "\n")


def make_folder(folder: Place) -> None:
    """Make a folder and those above it; a location has one once it holds a file."""
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)


def names_in(folder: Place) -> Iterator[str]:
    """Yield the names in a folder, in order, some more than once; none if it is absent.

    Raises:
        OSError: it cannot be listed.
    """
    if isinstance(folder, Path):
        paths = folder.iterdir() if folder.exists() else ()
        yield from sorted(path.name for path in paths)
    elif folder.exists():
        yield from (key.partition("/")[0] for key, _ in list_files(folder))


def file_size(file: Place) -> int:
    """Return the size of a file.

    Raises:
        OSError: there is none.
    """
    return file.num_bytes() if isinstance(file, Location) else file.stat().st_size


def remove(place: Place) -> None:
    """Delete a file, or a folder on this machine, if it is there."""
    if isinstance(place, Path) and place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
