"""The work lists of shards: the files of each, in `.build` beside the receipts.

A worker on another machine reads the list of its shard there. Within a pipeline of
Beam a million files would be more than a runner takes: Google's takes 10 MB.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from alexnet.pipeline.background import BackgroundPool
from alexnet.pipeline.build.plan import ShardPlan
from alexnet.pipeline.build.state import STATE, WORK_LIST
from alexnet.pipeline.remote.place import Place, put_text
from alexnet.pipeline.source.scan import ImageFile

# Lists that are written at a time: a store takes its time over each.
MOST_WRITTEN = 16


def save_work_lists(out: Place, shards: Sequence[ShardPlan]) -> None:
    """Write the list of each shard's files."""

    def save(shard: ShardPlan) -> None:
        values = {**vars(shard), "files": [*shard.files]}
        put_text(_path(out, shard.name), json.dumps(values))

    threads = BackgroundPool(min(MOST_WRITTEN, len(shards)), "work lists")
    list(threads.map(save, shards))


def load_work_list(out: Place, name: str) -> ShardPlan:
    """Return the shard of a name, with its files in order."""
    values = json.loads(_path(out, name).read_text(encoding="utf-8"))
    files = tuple(ImageFile(*file) for file in values.pop("files"))
    return ShardPlan(**values, files=files)


def _path(out: Place, name: str) -> Place:
    return out / STATE / f"{name}{WORK_LIST}"
