"""Shards of a remote record set on this machine, while they are read or written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from alexnet.pipeline.records.interop import (
    INDEX_FOLDER,
    index_name,
    shard_index,
)
from alexnet.pipeline.records.manifest import Shard
from alexnet.pipeline.remote.place import Place, put_text
from alexnet.pipeline.remote.transfer import Count, fetch_file, send_file


@contextmanager
def local_copy(folder: Place, shard: Shard, count: Count) -> Iterator[Path]:
    """Yield a folder on this machine that holds a shard, and its index if it has one.

    Args:
        count: is called with the bytes of each piece that is fetched.

    Raises:
        OSError: the shard is missing or cannot be read.
        RemoteError: a store fails for long.
    """
    if isinstance(folder, Path):
        yield folder
        return
    with TemporaryDirectory(prefix="alexnet-verify-") as name:
        here = Path(name)
        fetch_file(folder / shard.name, here / shard.name, count=count)
        (here / INDEX_FOLDER).mkdir()
        with suppress(FileNotFoundError):
            fetch_file(folder / index_name(shard.name), here / index_name(shard.name))
        yield here


@contextmanager
def replaced_shard(folder: Place, shard: Shard, with_index: bool) -> Iterator[Path]:
    """Yield a folder in which the shard is to be written anew, if all goes well.

    Raises:
        RemoteError: a store fails for long, or does not hold what it was sent.
    """
    if isinstance(folder, Path):
        yield folder
        return
    with TemporaryDirectory(prefix="alexnet-repair-") as name:
        here = Path(name)
        yield here
        send_file(here / shard.name, folder / shard.name, shard.crc32c)
        if with_index:
            put_text(folder / index_name(shard.name), shard_index(here, shard))
