"""The folders of a source that have images somewhere below them.

A folder is its path with a slash at the end; the source itself is ''.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator


class ImageTree:
    """Images by the folder they lie in, and folders by the one above them."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Sort image `keys` into their folders."""
        self._images: dict[str, list[str]] = defaultdict(list)
        self._folders: dict[str, set[str]] = defaultdict(set)
        for key in keys:
            self._images[key[: key.rfind("/") + 1]].append(key)
        for folder in self._images:
            self._add(folder)

    def _add(self, folder: str) -> None:
        while folder:
            above = folder[: folder.rstrip("/").rfind("/") + 1]
            self._folders[above].add(folder)
            folder = above

    def images(self, folder: str) -> list[str]:
        """Return the images directly in a folder."""
        return self._images.get(folder, [])

    def folders(self, folder: str) -> list[str]:
        """Return the folders directly in a folder that have images below, sorted."""
        return sorted(self._folders.get(folder, ()))

    def below(self, folder: str) -> Iterator[str]:
        """Yield every image in a folder and in those below it."""
        yield from self.images(folder)
        for inner in self.folders(folder):
            yield from self.below(inner)

    def count(self, folder: str) -> int:
        """Count the images in a folder and in those below it."""
        below = sum(self.count(inner) for inner in self.folders(folder))
        return len(self.images(folder)) + below


def folder_name(folder: str) -> str:
    """Return the last part of a folder's path: 'a/b/' is 'b'."""
    return folder.rstrip("/").rpartition("/")[2]
