"""The work lists of shards: the files of each, in `.build` beside the receipts.

A worker on another machine reads the list of its shard there. Within a pipeline of
Beam a million files would be more than a runner takes: Google's takes 10 MB.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from alexnet.pipeline.build.plan import ShardPlan
from alexnet.pipeline.build.state import STATE, WORK_LIST
from alexnet.pipeline.files import write_text
from alexnet.pipeline.source.scan import ImageFile


def save_work_list(out: Path, shard: ShardPlan) -> None:
    """Write the list of a shard's files."""
    write_text(_path(out, shard.name), json.dumps(asdict(shard)))


def load_work_list(out: Path, name: str) -> ShardPlan:
    """Return the shard of a name, with its files in order."""
    values = json.loads(_path(out, name).read_text(encoding="utf-8"))
    files = tuple(ImageFile(*file) for file in values.pop("files"))
    return ShardPlan(**values, files=files)


def _path(out: Path, name: str) -> Path:
    return out / STATE / f"{name}{WORK_LIST}"
