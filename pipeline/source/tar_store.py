"""The store of a tar: its members, read where they are."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from errno import EIO
from pathlib import Path

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.source.members import (
    COPY_AGAIN,
    ArchiveStore,
    Member,
)
from alexnet.pipeline.source.stores import NO_FILE, require_photo_size


class TarStore(ArchiveStore):
    """Members of an uncompressed tar, read in any order by their offsets."""

    path: Path

    def _members(self) -> Iterator[Member]:
        try:
            with tarfile.open(self.path, "r:") as archive:
                yield from _tar_members(archive)
                self._require_end(archive.offset)
        except (OSError, DataError):
            raise
        except Exception as error:  # tarfile raises whatever a damaged header causes
            raise self._damaged(error) from error

    def _require_end(self, offset: int) -> None:
        """Check for zeros behind the last member.

        A header that tarfile cannot read is the end for it.
        """
        with self.path.open("rb") as file:
            file.seek(offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise self._damaged(f"byte {offset} is neither a member nor the end")

    def _damaged(self, why: object) -> DataError:
        return DataError(f"{self.shown} is cut or damaged ({why}). {COPY_AGAIN}")

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        offset, size = self._member_place(key)
        if num_bytes < 0:
            require_photo_size(size)
            num_bytes = size
        with self.path.open("rb") as file:
            file.seek(offset)
            data = file.read(min(size, num_bytes))
        if len(data) < min(size, num_bytes):
            raise OSError(EIO, "the archive was longer when it was listed")
        return data


def _tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    """Yield the members but folders; a hard link as the file that it names."""
    members: dict[str, Member] = {}
    for info in archive:
        if info.isdir():
            continue
        fault = "" if info.isreg() and not info.issparse() else NO_FILE
        member = Member(info.name, info.size, (info.offset_data, info.size), fault)
        if info.islnk() and info.linkname in members:
            member = members[info.linkname]._replace(name=info.name)
        members[info.name] = member
        yield member
