"""The record sets and runs that lie among a source's photos: they are no classes."""

from __future__ import annotations

from collections.abc import Iterable
from posixpath import basename

from pipeline.manifest import MANIFEST

RECORD_SET, RUN = "a record set", "a training run"


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
    found = {}
    for key in keys:
        folder, _, rest = key.rpartition("/")
        if rest.endswith(".tfrecord") and f"{folder}/" in cards[MANIFEST]:
            found[f"{folder}/"] = RECORD_SET
        run = key.partition("checkpoints/")[0]
        if run != key and run in cards["config.json"] and run:
            found[run] = RUN
    return found
