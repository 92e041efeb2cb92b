"""The image files of a store, told by their names, else by their first bytes.

Record sets and runs of the project that lie there are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from posixpath import basename

from alexnet.pipeline.errors import BadImage, ReadError
from alexnet.pipeline.pictures import OWN_PICTURE
from alexnet.pipeline.records.image_formats import (
    HEAD_BYTES,
    has_image_magic,
    has_image_suffix,
)
from alexnet.pipeline.records.manifest import MANIFEST
from alexnet.pipeline.source.source_file import read_file
from alexnet.pipeline.source.stores import Entry, Listing, Store

RECORD_SET, RUN, PICTURE = (
    "a record set",
    "a training run",
    "a picture drawn by alexnet",
)
MARK_BYTES = 256


def list_images(store: Store) -> tuple[Listing, list[str]]:
    """Return a store's listing without the project's own outputs, and its images."""
    listing = _without_own(store.listing())
    images = (entry.key for entry in listing.files if _looks_like_image(store, entry))
    return listing, list(images)


def _without_own(listing: Listing) -> Listing:
    """Return a listing without the record sets and runs that lie in the source."""
    own = own_folders(entry.key for entry in listing.files)
    if not own:
        return listing
    inside = tuple(own)
    files = [entry for entry in listing.files if not entry.key.startswith(inside)]
    names = [f"{folder} ({what})" for folder, what in own.items()]
    return Listing(files, sorted([*listing.left_out, *names]))


def _looks_like_image(store: Store, entry: Entry) -> bool:
    if has_image_suffix(entry.key):
        return True
    try:
        return read_file(store, entry, has_image_magic, HEAD_BYTES)
    except BadImage:
        return False
    except ReadError as error:
        # What nothing calls a photo may be kept from this user, and is not missed.
        if isinstance(error.__cause__, PermissionError):
            return False
        raise


def own_folders(keys: Iterable[str]) -> dict[str, str]:
    """Return the folders in which the project keeps its own, and what they are.

    A record set has its manifest and shards, a run its settings and checkpoints. A
    source that is itself one of them is none of these folders.
    """
    keys = list(keys)
    cards: dict[str, set[str]] = {MANIFEST: set(), "config.json": set()}
    for key in keys:
        name = basename(key)
        if name in cards:
            cards[name].add(key[: -len(name)])
    outputs = {}
    for key in keys:
        folder, _, rest = key.rpartition("/")
        if rest.endswith(".tfrecord") and f"{folder}/" in cards[MANIFEST]:
            outputs[f"{folder}/"] = RECORD_SET
        run = key.partition("checkpoints/")[0]
        if run != key and run in cards["config.json"] and run:
            outputs[run] = RUN
    return outputs


def own_pictures(store: Store, keys: Iterable[str]) -> list[str]:
    """Return those of some images that the project has drawn, such as `sheet.png`.

    Raises:
        ReadError: one cannot be read.
    """
    return [key for key in keys if key.endswith(".png") and _is_marked(store, key)]


def _is_marked(store: Store, key: str) -> bool:
    try:
        return read_file(
            store, Entry(key, 1), lambda head: OWN_PICTURE in head, MARK_BYTES
        )
    except BadImage:
        return False
