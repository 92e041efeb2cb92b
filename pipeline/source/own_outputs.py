"""The project's own outputs among a source's photos: record sets, runs, pictures."""

from __future__ import annotations

from collections.abc import Iterable
from posixpath import basename

from alexnet.pipeline.errors import BadImage
from alexnet.pipeline.pictures import OWN_PICTURE
from alexnet.pipeline.records.manifest import MANIFEST
from alexnet.pipeline.source.source_file import read_file
from alexnet.pipeline.source.stores import Entry, Store

RECORD_SET, RUN, PICTURE = (
    "a record set",
    "a training run",
    "a picture drawn by alexnet",
)
MARK_BYTES = 256


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
