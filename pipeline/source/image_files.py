"""The image files of a store, told by their names, else by their first bytes.

Record sets and runs of the project that lie there are left out.
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
