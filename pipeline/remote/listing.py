"""The files below a location, page by page: a million keys take no memory here."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from alexnet.pipeline.errors import RemoteError
from alexnet.pipeline.remote.file_system import S3
from alexnet.pipeline.remote.location import Location

# The most that S3 gives at once.
PAGE_KEYS = 1000


def list_files(folder: Location) -> Iterator[tuple[str, int]]:
    """Yield the key of every file below a folder, relative to it, and its size.

    A page that does not come is asked for again, and not those before it.

    Raises:
        OSError: there is no such folder, or no right to list it.
        RemoteError: the store fails for long, or tells a part only.
    """
    return _s3_pages(folder) if folder.protocol in S3 else _folders(folder)


def _s3_pages(folder: Location) -> Iterator[tuple[str, int]]:
    """Yield the keys of a prefix; s3fs itself would keep a dictionary for each."""
    bucket, _, prefix = folder.path.partition("/")
    folder_prefix = f"{prefix}/" if prefix else ""
    where = {"Bucket": bucket, "Prefix": folder_prefix, "MaxKeys": PAGE_KEYS}
    next_page: dict[str, str] | None = {}
    while next_page is not None:
        page = folder.call(partial(_s3_page, asked={**where, **next_page}))
        for item in page.get("Contents", ()):
            key = item["Key"][len(folder_prefix) :]
            if key and not key.endswith("/"):  # which consoles make of empty folders
                yield key, item["Size"]
        token = page.get("NextContinuationToken")
        if page.get("IsTruncated") and not token:
            raise RemoteError(
                f"{folder}: the store lists {PAGE_KEYS} files at most, and does not say"
                " how to go on: it lacks S3's ListObjectsV2. Give a smaller folder."
            )
        next_page = {"ContinuationToken": token} if token else None


def _s3_page(fs: Any, path: str, asked: dict[str, Any]) -> dict[str, Any]:
    page: dict[str, Any] = fs.call_s3("list_objects_v2", **asked)
    return page


def _folders(folder: Location) -> Iterator[tuple[str, int]]:
    """Yield the files of one folder after another."""
    root = folder.path.rstrip("/")
    folders = [folder]
    while folders:
        for item in folders.pop().call(_list):
            key = str(item["name"]).rstrip("/")[len(root) :].lstrip("/")
            if item["type"] == "directory":
                folders.append(folder / key)
            elif key:
                yield key, item["size"] or 0


def _list(fs: Any, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = fs.ls(path, detail=True)
    # Asked for a folder that is none, some file systems list the file itself.
    return [item for item in items if item["name"].rstrip("/") != path.rstrip("/")]
