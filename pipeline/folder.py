"""The source of a build: which image files there are and which class each has.

The first step on the path of an image. Labels come from class folders, from names like
`cat.9194.jpg`, or from a CSV; a source that mixes them is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from posixpath import basename, splitext
from typing import NamedTuple

from pipeline.archive import open_archive
from pipeline.config import LabelSource
from pipeline.errors import DataError
from pipeline.files import require_local
from pipeline.store import Entry, FolderStore, Listing, Store
from pipeline.table import find_table, read_labels

IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .gif .bmp .dib .webp .tif .tiff".split()
)
# The first bytes of JPEG, PNG, GIF, BMP, TIFF (both orders); WebP is RIFF....WEBP.
IMAGE_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")
SPLIT_NAMES = frozenset("train training val valid validation test testing".split())
# cat.9194.jpg: a label, a dot, something, and the ending.
LABELLED_NAME = re.compile(r"([^./]+)\.[^/]+\.[^./]+")


class ImageFile(NamedTuple):
    """A file that looks like an image: key in its source, label, size in bytes."""

    key: str
    label: int
    size_bytes: int


@dataclass(frozen=True)
class Source:
    """What a scan found; what is ignored is named, with the reason where it is odd."""

    store: Store
    labels: LabelSource
    class_names: tuple[str, ...]
    files: tuple[ImageFile, ...]
    ignored: tuple[str, ...]


def scan(path: Path, labels: LabelSource = "auto") -> Source:
    """The image files below `path`, sorted by key, with their labels.

    Raises:
        DataError: there is no such source, it has no images, or it is not clear which
            class they have.
    """
    table: str | None = None
    if path.suffix.lower() == ".csv" and path.is_file():
        store: Store = FolderStore(path.parent)
        table, labels = path.name, "csv"
    else:
        store = open_store(path)
    found = store.listing()
    if table is None and labels in ("auto", "csv"):
        table = find_table(store, found.files, path, needed=labels == "csv")
    if table is not None:
        return _labelled_by_csv(store, found, table)
    images = [entry for entry in found.files if _looks_like_image(store, entry)]
    kept = {entry.key for entry in images}
    others = (entry.key for entry in found.files if entry.key not in kept)
    ignored = (*others, *found.left_out)
    if not images:
        raise DataError(
            f"no images in {path}: found {len(ignored)} other files. Expected class"
            " folders (cat/1.jpg), names like cat.1.jpg, or a CSV with filename,label."
        )
    if labels == "auto":
        labels = _guess_labels(path, images)
    names = _folder_labels(images) if labels == "folder" else _name_labels(images)
    return _source(store, labels, images, names, ignored)


def open_store(path: Path) -> Store:
    """The store at `path`, by what it is.

    Raises:
        DataError: there is nothing there, or nothing that can be read.
    """
    require_local(path)
    if path.is_dir():
        return FolderStore(path)
    if not path.exists():
        kind = "file" if path.suffix else "folder"
        raise DataError(
            f"no such {kind}: {path}. Expected a folder of class folders, a flat folder"
            " of names like cat.0.jpg, a CSV with filename,label, or a zip or tar of"
            " one of these."
        )
    if path.is_file():  # opening a pipe would wait for ever
        return open_archive(path)
    raise DataError(f"{path} is neither a folder nor a file")


def _source(
    store: Store,
    labels: LabelSource,
    images: list[Entry],
    names: list[str],
    ignored: tuple[str, ...],
) -> Source:
    class_names = sorted(set(names), key=_natural if _all_numbers(names) else str)
    index = {name: label for label, name in enumerate(class_names)}
    files = tuple(
        ImageFile(entry.key, index[name], entry.size_bytes)
        for entry, name in zip(images, names, strict=True)
    )
    return Source(store, labels, tuple(class_names), files, ignored)


def _all_numbers(names: list[str]) -> bool:
    return all(name.isdecimal() for name in names)


def _natural(name: str) -> str:
    return name.zfill(20)


def _looks_like_image(store: Store, entry: Entry) -> bool:
    if splitext(entry.key)[1].lower() in IMAGE_SUFFIXES:
        return True
    try:
        head = store.read(entry.key, 12)
    except OSError:
        return False
    return head.startswith(IMAGE_MAGIC) or head[8:12] == b"WEBP"


def _guess_labels(path: Path, images: list[Entry]) -> LabelSource:
    nested = [entry.key for entry in images if "/" in entry.key]
    flat = [entry.key for entry in images if "/" not in entry.key]
    if nested and flat:
        raise DataError(
            f"{path} mixes images in class folders ({len(nested)}, such as {nested[0]})"
            f" with images beside them ({len(flat)}, such as {flat[0]}). Move them"
            " apart, or say --labels folder, name or csv."
        )
    if flat:
        return "name"
    tops = {key.partition("/")[0] for key in nested}
    if {top.lower() for top in tops} <= SPLIT_NAMES:
        first = sorted(tops)[0]
        raise DataError(
            f"{path} holds {', '.join(sorted(tops))}, which are names of splits, not of"
            f" classes. Build one of them ({path / first}), or say --labels folder if"
            " they are classes."
        )
    return "folder"


def _folder_labels(images: list[Entry]) -> list[str]:
    flat = [entry.key for entry in images if "/" not in entry.key]
    if flat:
        raise DataError(
            f"--labels folder, but {len(flat)} images lie in no class folder, such as"
            f" {flat[0]}. Move them into one, or leave --labels out."
        )
    return [entry.key.partition("/")[0] for entry in images]


def _name_labels(images: list[Entry]) -> list[str]:
    matches = [LABELLED_NAME.fullmatch(basename(e.key)) for e in images]
    without = [e.key for e, match in zip(images, matches, strict=True) if not match]
    if without:
        raise DataError(
            f"{len(without)} of {len(images)} names carry no label, such as"
            f" {without[0]!r}. Expected class folders (cat/1.jpg), names like"
            " cat.1.jpg, or a CSV with filename,label."
        )
    return [match.group(1) for match in matches if match]


def _labelled_by_csv(store: Store, found: Listing, table: str) -> Source:
    sizes, labels = dict(found.files), read_labels(store.read(table), table)
    # A file that is named and missing has size 0; reading it will set it aside by name.
    images = [Entry(key, sizes.get(key, 0)) for key in sorted(labels)]
    others = (key for key in sizes if key not in labels and key != table)
    names = [labels[entry.key] for entry in images]
    return _source(store, "csv", images, names, (*others, *found.left_out))
