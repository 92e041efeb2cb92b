"""A build in one call, from an image source to the opened record set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import MAX_BAD, BuildConfig
from alexnet.pipeline.notebook_bar import notebook_progress
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.remote.place import Place, as_place
from alexnet.pipeline.source.scan import scan


def build_records(
    source: str | Place,
    out: str | Place = "records",
    *,
    workers: int | None = None,
    max_bad: float = MAX_BAD,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> OpenedRecords:
    """Make a record set of an image source, or what is missing of it, and open it.

    Args:
        source: a folder of class folders or of `cat.1.jpg`-like names, a CSV of labels,
            a zip or tar of one of these, or a URL of one.
        out: the record set's folder, or its URL.
        workers: processes that decode and encode; by default one a CPU.
        max_bad: share of the files that may be set aside because they cannot be used; a
            single one always may, unless it is 0.
        overwrite: delete a record set made with other settings first.
        progress: is called with the images done and the images in all; by default a
            notebook shows a bar.
        **settings: as the command `alexnet records build` has them: `storage` ("jpeg",
            "raw", "yuv420", "original"), `side` in pixels, `resize` ("crop", "squash"),
            `quality`, `labels` ("auto", "folder", "name", "csv"),
            `validation_fraction`, `seed`, `shards`, `shard_size_bytes`.

    Raises:
        ConfigError: a setting is unknown or out of range.
        DataError: the source cannot be used, other settings made what is in `out`, or
            more files are bad than may be.
        ReadError: a photo cannot be read, for a reason that may pass.
    """
    config = BuildConfig.from_json(settings)
    images = scan(as_place(source), config.labels)
    build(
        images,
        as_place(out),
        config,
        workers=workers,
        max_bad=max_bad,
        overwrite=overwrite,
        progress=progress or notebook_progress("building", "images"),
    )
    return open_records(out)
