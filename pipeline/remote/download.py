"""Download one file, such as an archive of photos: resumed, checked, whole or absent.

A compressed tar becomes a plain one, which a build reads in any order.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alexnet.pipeline.errors import ConfigError, DataError, RemoteError
from alexnet.pipeline.files import (
    atomic_path,
    format_bytes,
    nearest,
    partial_path,
    require_room,
    write_json,
)
from alexnet.pipeline.lock import sole_process
from alexnet.pipeline.remote.known_sets import KNOWN_SETS
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.transfer import append_rest
from alexnet.pipeline.remote.url import URL

CHECKSUM = re.compile(r"(sha256|md5|sha1|sha512):[0-9a-f]{32,128}")
# Readers of compressed tars by the endings of their names.
COMPRESSED: dict[str, Any] = {
    **dict.fromkeys((".tgz", ".tar.gz"), gzip.open),
    **dict.fromkeys((".tbz2", ".tar.bz2"), bz2.open),
    **dict.fromkeys((".txz", ".tar.xz"), lzma.open),
}
# Properties that tell one version of a remote file from another.
VERSION = ("size", "ETag", "LastModified", "Last-Modified")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DownloadPlan:
    """A file to download: its address, the checksum it must have, and its place."""

    source: Location
    checksum: str | None
    # As it is on the server; `out` is where it lies in the end.
    target: Path
    licence: str | None

    @property
    def out(self) -> Path:
        """The file that is left: a plain tar of a compressed one."""
        ending = _compressed_ending(self.target.name)
        if not ending:
            return self.target
        return self.target.with_name(f"{self.target.name[: -len(ending)]}.tar")


@dataclass(frozen=True)
class DownloadReport:
    """A file that was downloaded, or was there already."""

    url: str
    out: Path
    num_bytes: int
    # Of the file as the server has it; None of one that was there already.
    checksum: str | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields that `--json` promises."""
        return {**asdict(self), "out": str(self.out)}


def plan_download(
    address: str, out: Path | None = None, checksum: str | None = None
) -> DownloadPlan:
    """Plan the download of a URL or of a set with a name.

    Args:
        out: the file to write, or a folder for it; by default the current one.
        checksum: `sha256:HEX`, `md5:HEX`, `sha1:HEX` or `sha512:HEX`.

    Raises:
        ConfigError: there is no such set, or the checksum is none.
    """
    known = KNOWN_SETS.get(address)
    if known is None and not URL.match(address):
        raise ConfigError(
            f"{address!r} is neither a URL nor a set with a name:"
            f" {nearest(address, KNOWN_SETS)}"
        )
    if checksum is not None and not CHECKSUM.fullmatch(checksum):
        raise ConfigError(
            f"`checksum={checksum!r}`: write it like sha256:0123... in hexadecimal"
        )
    source = Location(known.url if known else address)
    if not source.name:
        raise ConfigError(f"{source} names no file")
    target = out or Path(source.name)
    return DownloadPlan(
        source,
        checksum or (known.checksum if known else None),
        target / source.name if target.is_dir() else target,
        known.licence if known else None,
    )


def download(
    plan: DownloadPlan, progress: Progress = lambda done, total: None
) -> DownloadReport:
    """Download a file, or the rest of one whose download was interrupted.

    Args:
        progress: is called with the bytes that are there and the bytes in all.

    Raises:
        OSError: there is no such file, no right to read it, or the disk is full.
        DataError: another file is in the way, or another process downloads it.
        RemoteError: the server fails for long, or the checksum is wrong.
    """
    start, name = time.monotonic(), plan.target.name
    taken = DataError(f"another process is downloading {plan.target} at this moment")
    with sole_process(plan.target.with_name(f".{name}.lock"), taken):
        if plan.out.exists():
            return _already_there(plan)
        partial = _fetch(plan, progress)
        checksum = _require_checksum(plan, partial)
        num_bytes = partial.stat().st_size
        if plan.out == plan.target:
            partial.replace(plan.out)
        else:
            _decompress(partial, plan)
        _version_path(partial).unlink()
    seconds = time.monotonic() - start
    return DownloadReport(str(plan.source), plan.out, num_bytes, checksum, seconds)


def _already_there(plan: DownloadPlan) -> DownloadReport:
    checksum = None
    if plan.checksum and plan.out == plan.target:
        checksum = _checksum(plan.out, plan.checksum)
        if checksum != plan.checksum:
            raise DataError(
                f"{plan.out} is there already, and another file: it has {checksum},"
                f" {plan.checksum} is expected. Move it away, or choose another `out`."
            )
    num_bytes = plan.out.stat().st_size
    return DownloadReport(str(plan.source), plan.out, num_bytes, checksum, 0.0)


def _fetch(plan: DownloadPlan, progress: Progress) -> Path:
    """Return the whole file under its temporary name, which a killed one leaves too."""
    partial = partial_path(plan.target)
    version = {key: str(plan.source.info().get(key)) for key in VERSION}
    if _version_of(partial) != version:
        partial.unlink(missing_ok=True)
    write_json(_version_path(partial), version)
    num_bytes = plan.source.num_bytes()
    done = partial.stat().st_size if partial.exists() else 0
    require_room(plan.target.parent, num_bytes - done)
    progress(done, num_bytes)

    def count(arrived: int) -> None:
        nonlocal done
        done += arrived
        progress(done, num_bytes)

    append_rest(plan.source, partial, num_bytes, count)
    return partial


def _version_path(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")


def _version_of(partial: Path) -> Any:
    """Return the version of the file that a partial one is of; None if unknown."""
    with suppress(OSError, ValueError):
        return json.loads(_version_path(partial).read_text(encoding="utf-8"))
    return None


def _require_checksum(plan: DownloadPlan, partial: Path) -> str:
    checksum = _checksum(partial, plan.checksum or "sha256")
    if plan.checksum in (None, checksum):
        return checksum
    size = format_bytes(partial.stat().st_size)
    partial.unlink()
    _version_path(partial).unlink()
    raise RemoteError(
        f"{plan.source} has the checksum {checksum} ({size}); {plan.checksum} is"
        " expected. Either the file there is another, or it was changed on the way: it"
        " was not kept. Try again, or look up its checksum."
    )


def _checksum(file: Path, like: str) -> str:
    """Return a file's checksum, of the kind that another one begins with."""
    kind = like.partition(":")[0]
    checksum = hashlib.new(kind, usedforsecurity=False)
    with file.open("rb", buffering=0) as opened:
        while data := opened.read(2**22):
            checksum.update(data)
    return f"{kind}:{checksum.hexdigest()}"


def _compressed_ending(name: str) -> str:
    return next((end for end in COMPRESSED if name.lower().endswith(end)), "")


def _decompress(partial: Path, plan: DownloadPlan) -> None:
    opener = COMPRESSED[_compressed_ending(plan.target.name)]
    try:
        with (
            atomic_path(plan.out) as plain,
            opener(partial, "rb") as packed,
            plain.open("wb") as file,
        ):
            shutil.copyfileobj(packed, file, 2**22)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise DataError(f"{plan.source} is no whole archive: {error}") from error
    partial.unlink()
