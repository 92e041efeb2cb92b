"""Bring files here and send them there: resumed, checked, whole or absent."""

from __future__ import annotations

import errno
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from hashlib import md5
from pathlib import Path
from typing import Any

import google_crc32c
from fsspec.asyn import sync

from alexnet.pipeline.errors import RemoteError
from alexnet.pipeline.files import atomic_path
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.url import WEB

# Bytes that are asked for at once: a cut connection costs at most these.
RANGE_BYTES = 2**24
# Tries, where bytes arrive, or are found in the store, with another checksum.
MOST_TRIES = 3
# s3fs sends larger files in parts of this size, to twice it in one.
PART_BYTES = 50 * 2**20

# Of HTTP.
FIRST_BYTE = {"Range": "bytes=0-0"}
PARTIAL_CONTENT, NO_SUCH_RANGE = 206, 416

Count = Callable[[int], None]


class _WrongBytesError(Exception):
    """Bytes arrived with another checksum."""


def fetch_range(source: Location, start: int, num_bytes: int) -> bytes:
    """Return `num_bytes` of a file from `start` on; fewer only where the file ends.

    Raises:
        OSError: there is no such file, or no right to read it.
        RemoteError: the store fails for long, or knows no ranges.
    """
    end = start + num_bytes
    try:
        data = source.call(lambda fs, path: fs.cat_file(path, start=start, end=end))
    except OSError as error:
        # S3's answer to a range of an empty file, or behind the end of one.
        if error.errno == errno.EINVAL and source.num_bytes() <= start:
            return b""
        raise
    if start and len(data) > num_bytes:  # a web server that ignores the range
        raise RemoteError(
            f"{source}: the server gives whole files only. Fetch it first with"
            " `alexnet download`, and give the file."
        )
    return bytes(data[:num_bytes])


def fetch_file(
    source: Location,
    target: Path,
    num_bytes: int | None = None,
    crc32c: int | None = None,
    count: Count = lambda num_bytes: None,
) -> None:
    """Bring a file to `target`, which has it whole or is absent.

    One process at a time may fetch to one target.

    Args:
        num_bytes: size that the file must have.
        crc32c: checksum that it must have; wrong bytes are fetched again.
        count: is called with the bytes of each piece that arrives.

    Raises:
        OSError: there is no such file, or no right to read it; or the disk is full.
        RemoteError: the store fails for long, or its file is not what is expected.
    """
    held = source.num_bytes()
    if num_bytes is not None and held != num_bytes:
        raise RemoteError(f"{source} has {held} bytes; {num_bytes} are expected")
    for _ in range(MOST_TRIES):
        with suppress(_WrongBytesError), atomic_path(target) as partial:
            partial.unlink(missing_ok=True)
            append_rest(source, partial, held, count)
            if crc32c in (None, file_crc32c(partial)):
                return
            raise _WrongBytesError
    raise RemoteError(
        f"{source} arrived {MOST_TRIES} times with another checksum than it was written"
        " with: the store's copy is damaged"
    )


def append_rest(source: Location, file: Path, num_bytes: int, count: Count) -> None:
    """Append to a file what it lacks of a source of `num_bytes`.

    A server that gives whole files only is asked for all of it.

    Raises:
        OSError: there is no such source, or no right to read it; or the disk is full.
        RemoteError: the store fails for long, or its file has another size.
    """
    is_one_range = num_bytes <= RANGE_BYTES and not file.exists()
    if not is_one_range and not takes_ranges(source):
        source.call(lambda fs, path: fs.get_file(path, str(file)))
        count(num_bytes)
    else:
        with file.open("ab") as opened:
            while (start := opened.tell()) < num_bytes:
                size = min(RANGE_BYTES, num_bytes - start)
                data = fetch_range(source, start, size)
                if len(data) != size:
                    break
                opened.write(data)
                count(size)
    if file.stat().st_size != num_bytes:
        raise RemoteError(f"{source} has changed: it no longer has {num_bytes} bytes")


def file_crc32c(file: Path) -> int:
    """Return the CRC32C of a file."""
    checksum = 0
    with file.open("rb", buffering=0) as opened:
        while data := opened.read(RANGE_BYTES):
            checksum = google_crc32c.extend(checksum, data)
    return int(checksum)


def takes_ranges(source: Location) -> bool:
    """Tell whether parts of a file can be asked for; some web servers cannot."""
    if source.protocol not in WEB:
        return True
    return source.call(lambda fs, path: bool(sync(fs.loop, _answers_in_part, fs, path)))


async def _answers_in_part(fs: Any, url: str) -> bool:
    """Ask for a byte, and look what the answer would be: it may be the whole file."""
    options = {**fs.kwargs, "headers": {**fs.kwargs.get("headers", {}), **FIRST_BYTE}}
    session = await fs.set_session()
    async with session.get(fs.encode_url(url), **options) as answer:
        if answer.status == NO_SUCH_RANGE:  # of an empty file
            return True
        answer.raise_for_status()
        return bool(answer.status == PARTIAL_CONTENT)


def send_file(source: Path, target: Location, crc32c: int) -> None:
    """Send a file, and check that the store holds its bytes.

    Args:
        crc32c: checksum of `source`.

    Raises:
        OSError: there is no right to write there.
        RemoteError: the store fails for long, or holds other bytes.
    """
    target.make_parent()
    for _ in range(MOST_TRIES):
        target.call(lambda fs, path: fs.put_file(str(source), path))
        if holds(target, source, crc32c):
            return
    raise RemoteError(
        f"{target} was sent {MOST_TRIES} times, and the store holds other bytes each"
        " time"
    )


def holds(target: Location, source: Path, crc32c: int) -> bool:
    """Tell whether a store's file has the bytes of `source`.

    The store's own checksum decides where it tells one that can be computed here (S3's
    ETag, GCS's MD5 and CRC32C); else the file is read back.
    """
    info = target.info()
    if info.get("size") != source.stat().st_size:
        return False
    told = {str(info.get(key, "")).strip('"') for key in ("ETag", "md5Hash", "crc32c")}
    if told & set(_checksums(source, crc32c)):
        return True
    return _read_back(target, source.stat().st_size) == crc32c


def _checksums(source: Path, crc32c: int) -> list[str]:
    """Return a file's checksums as stores write them."""
    whole, parts = md5(usedforsecurity=False), []
    with source.open("rb") as file:
        while part := file.read(PART_BYTES):
            whole.update(part)
            parts.append(md5(part, usedforsecurity=False).digest())
    of_parts = md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return [
        whole.hexdigest(),
        f"{of_parts}-{len(parts)}",
        b64encode(whole.digest()).decode(),
        b64encode(crc32c.to_bytes(4, "big")).decode(),
    ]


def _read_back(target: Location, num_bytes: int) -> int:
    checksum = 0
    for start in range(0, num_bytes, RANGE_BYTES):
        data = fetch_range(target, start, RANGE_BYTES)
        checksum = google_crc32c.extend(checksum, data)
    return int(checksum)
