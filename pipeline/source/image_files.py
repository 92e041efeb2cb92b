"""The image files of a store: by their names, else by their first bytes.

The record sets and runs that the project itself has put there are none of them.
"""

from __future__ import annotations

from alexnet.pipeline.errors import BadImage, ReadError
from alexnet.pipeline.records.image_formats import (
    HEAD_BYTES,
    has_image_magic,
    has_image_suffix,
)
from alexnet.pipeline.source.own_outputs import own_folders
from alexnet.pipeline.source.source_file import read_file
from alexnet.pipeline.source.stores import Entry, Listing, Store


def list_images(store: Store) -> tuple[Listing, list[str]]:
    """Return what a store holds besides the project's own, and its images' keys."""
    found = _without_own(store.listing())
    looks = (entry.key for entry in found.files if _looks_like_image(store, entry))
    return found, list(looks)


def _without_own(found: Listing) -> Listing:
    """Return a listing without the record sets and runs that lie in the source."""
    own = own_folders(entry.key for entry in found.files)
    if not own:
        return found
    inside = tuple(own)
    files = [entry for entry in found.files if not entry.key.startswith(inside)]
    told = [f"{folder} ({what})" for folder, what in own.items()]
    return Listing(files, sorted([*found.left_out, *told]))


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
