"""Patterns of names, such as `test/*.jpg`, and the files that fit one.

`*`, `?` and `[...]` stand for characters of a name, `**` for any folders.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.source.remote_store import RemoteStore

WILDCARD = re.compile(r"[*?[]")
# The names of a path, such as ("test", "1.jpg").
Names = Sequence[str]


def is_pattern(place: Place) -> bool:
    """Tell a pattern from what is there under such a name.

    Raises:
        RemoteError: a store does not answer.
    """
    if isinstance(place, Location):
        return bool(_split(place)[1]) and not place.exists()
    return bool(WILDCARD.search(str(place))) and not place.exists()


def fitting_paths(pattern: Path) -> list[Path]:
    """Return the paths that fit; `**` within a name is `*`, as Python 3.13 has it."""
    below = [
        part if part == "**" else part.replace("**", "*")
        for part in pattern.relative_to(pattern.anchor).parts
    ]
    return sorted(Path(pattern.anchor).glob("/".join(below)))


def fitting_keys(pattern: Location) -> tuple[Location, dict[str, tuple[str, ...]]]:
    """Return the files that fit a pattern, or lie in a folder that does.

    All is listed that lies below the last folder without a wildcard.

    Returns:
        That folder, and by the key of a file below it the names that fit: its own, or
        those of the folder.

    Raises:
        OSError: the folder cannot be listed.
        RemoteError: the store does not answer.
    """
    folder, wanted = _split(pattern)
    fitting = {}
    if folder.is_dir():
        for key, _ in RemoteStore(folder).entries(lambda left_out: None):
            names = tuple(key.split("/"))
            above = (names[:end] for end in range(len(names) + 1))
            if (fits := next((n for n in above if _fit(n, wanted)), None)) is not None:
                fitting[key] = fits
    return folder, fitting


def _split(pattern: Location) -> tuple[Location, Names]:
    """Return the last folder before a wildcard, and the names behind it, if any."""
    places = [pattern]
    while places[0].name:
        places.insert(0, places[0].parent)
    for number, place in enumerate(places):
        if WILDCARD.search(place.name):
            return places[number - 1], [wild.name for wild in places[number:]]
    return pattern, []


def _fit(names: Names, pattern: Names) -> bool:
    if not pattern:
        return not names
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        return any(_fit(names[at:], rest) for at in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], first) and _fit(names[1:], rest)
