"""Archives as stores: their members are listed as the files of a folder would be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.source.stores import (
    SYSTEM_FOLDER,
    SYSTEM_FOLDERS,
    Entry,
    printable,
)

COPY_AGAIN = "Copy or download it again, or unpack what can be and give that folder."


class Member(NamedTuple):
    """One member of an archive: the place to read it at, or its fault."""

    name: str
    size_bytes: int
    place: Any
    fault: str


class ArchiveStore:
    """An archive file, and the places of the members that were listed."""

    def __init__(self, path: Place) -> None:
        self.path = path
        # Its address for people, where `path` is a copy.
        self.shown: Place = path
        self._places: dict[str, Any] = {}

    @property
    def is_remote(self) -> bool:
        """Whether the members are fetched from a store; a tar is read from a copy."""
        return isinstance(self.path, Location)

    def expect(self, keys: Iterable[str]) -> None:
        """Do nothing: the system reads ahead."""

    def entries(self, leave_out: Callable[[str], None]) -> Iterator[Entry]:
        """Return the members' entries; the places of all are in memory from then on."""
        members = by_key(self._members(), leave_out)
        self._places = {key: member.place for key, member in members.items()}
        return (Entry(key, member.size_bytes) for key, member in members.items())

    def _members(self) -> Iterator[Member]:
        """Yield what is in the archive; each kind has its own."""
        raise NotImplementedError

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        """Return the bytes of a member; each kind of archive has its own."""
        raise NotImplementedError

    def exists(self) -> bool:
        """Tell whether the archive is still there."""
        return self.path.exists()

    def place(self, key: str) -> str:
        """Return the path of a member for people, behind that of the archive."""
        return printable(f"{self.shown}/{key}")

    def _member_place(self, key: str) -> Any:
        if key not in self._places:
            raise OSError(f"{self.shown.name} has no such file")
        return self._places[key]


def by_key(
    members: Iterable[Member], leave_out: Callable[[str], None]
) -> dict[str, Member]:
    """Return the members of an archive that are files of its store.

    The last of several members of one name counts, as when an archive is unpacked.
    """
    members_by_key: dict[str, Member] = {}
    system_folders = set()
    for member in members:
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        key = "/".join(parts)
        leads_out = member.name.startswith("/") or ".." in parts
        if not leads_out and is_hidden(key):
            continue
        if not leads_out and (system := system_folder(key)):
            system_folders.add(system)
            continue
        if fault := "leads out of the archive" if leads_out else member.fault:
            leave_out(f"{member.name} ({fault})")
            continue
        if key in members_by_key:
            leave_out(f"{member.name} (there again: the last one counts)")
        members_by_key[key] = member
    for folder in system_folders:
        leave_out(f"{folder} ({SYSTEM_FOLDER})")
    start = len(common_folder(members_by_key))
    return {key[start:]: member for key, member in members_by_key.items()}


def common_folder(names: Iterable[str]) -> str:
    """Return the one folder all members lie in, as 'train/'; '' without one.

    Archives are made of a folder as often as of its contents; both give the same keys.
    A lone class folder, whose files lie directly in it, is kept when neither their
    names carry a label of their own nor a table beside them does.
    """
    names = list(names)
    tops = {name.partition("/")[0] for name in names}
    if len(tops) != 1 or any("/" not in name for name in names):
        return ""
    (top,) = tops
    inside = [name.partition("/")[2] for name in names]
    flat = all("/" not in name for name in inside)
    table = any(name.lower().endswith((".csv", ".tsv")) for name in inside)
    named = all(len(PurePosixPath(name).suffixes) >= 2 for name in inside)
    if flat and not table and not named:
        return ""
    return top + "/"


def is_hidden(name: str) -> bool:
    """Tell whether a path has a part like .DS_Store or __MACOSX."""
    return any(part[:1] == "." or part == "__MACOSX" for part in name.split("/"))


def system_folder(name: str) -> str | None:
    """Return the first system folder on a path; None without one."""
    parts = name.split("/")[:-1]
    for depth, part in enumerate(parts, 1):
        if part in SYSTEM_FOLDERS:
            return "/".join(parts[:depth]) + "/"
    return None
