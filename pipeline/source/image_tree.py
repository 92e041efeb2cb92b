"""The folders that images lie in, and how many are in each.

This is what labels are decided from: it grows with the number of folders, and not with
that of images.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from posixpath import basename

from alexnet.pipeline.source.image_files import ListedFile
from alexnet.pipeline.source.stores import folder_of

# cat.9194.jpg, st.bernard.1.jpg, cat.163: a label, a number, mostly an ending.
LABELLED_NAME = re.compile(r"(.+)\.\d+(\.[^./]+)?", re.DOTALL)
# Share of the images that may lie where they have no label, and be set aside; more of
# them are a mixture of layouts, which only a person can sort out.
STRAY_SHARE = 0.2


@dataclass
class FolderImages:
    """The images that lie directly in a folder: how many, and the first keys."""

    count: int = 0
    first: str = ""
    # Those whose own names carry no label.
    num_unnamed: int = 0
    first_unnamed: str = ""

    def add(self, key: str) -> None:
        """Count the image that comes next by its key."""
        self.first = self.first or key
        self.count += 1
        if label_in_name(key) is None:
            self.first_unnamed = self.first_unnamed or key
            self.num_unnamed += 1


class ImageTree:
    """Images by the folder they lie in, and folders by the one above them.

    A folder is its path with a slash at the end; the source itself is ''.
    """

    def __init__(self, files: Sequence[ListedFile]) -> None:
        """Count the images among `files`, which are sorted by key."""
        self._files = files
        self._images: dict[str, FolderImages] = defaultdict(FolderImages)
        self._folders: dict[str, set[str]] = defaultdict(set)
        for file in files:
            if file.is_image:
                self._images[folder_of(file.key)].add(file.key)
        for folder in self._images:
            self._add(folder)

    def _add(self, folder: str) -> None:
        while folder:
            above = folder_of(folder.rstrip("/"))
            self._folders[above].add(folder)
            folder = above

    def images(self, folder: str) -> FolderImages:
        """Return what there is directly in a folder."""
        return self._images.get(folder, FolderImages())

    def folders(self, folder: str) -> list[str]:
        """Return the folders directly in a folder that have images below, sorted."""
        return sorted(self._folders.get(folder, ()))

    def below(self, folder: str) -> Iterator[tuple[str, FolderImages]]:
        """Yield a folder and those below it, with the images directly in each."""
        if folder in self._images:
            yield folder, self._images[folder]
        for inner in self.folders(folder):
            yield from self.below(inner)

    def count(self, folder: str) -> int:
        """Count the images in a folder and in those below it."""
        return sum(images.count for _, images in self.below(folder))

    def first(self, folder: str) -> str:
        """Return the key of the first image in a folder, or in those below it."""
        _, images = next(self.below(folder))
        return images.first

    def names(self, folder: str) -> Iterator[str]:
        """Yield the label in each image's own name, in a folder and below it."""
        files = self._files
        if folder:
            # "0" is the character behind "/".
            edges = (folder, f"{folder[:-1]}0")
            start, stop = (bisect_left(files, key, key=_key) for key in edges)
            files = files[start:stop]
        labels = (label_in_name(file.key) for file in files if file.is_image)
        return (label for label in labels if label is not None)


def _key(file: ListedFile) -> str:
    return file.key


def folder_name(folder: str) -> str:
    """Return the last part of a folder's path: 'a/b/' is 'b'."""
    return folder.rstrip("/").rpartition("/")[2]


def label_in_name(key: str) -> str | None:
    """Return the label that an image's own name carries; None without one."""
    match = LABELLED_NAME.fullmatch(basename(key))
    return match[1] if match else None


def unwrapped(tree: ImageTree, folder: str = "") -> str:
    """Return the folder below which classes are told apart: lone wrappers are passed.

    A lone folder of images whose names carry no label is a class.
    """
    while not tree.images(folder).count and len(tree.folders(folder)) == 1:
        (inner,) = tree.folders(folder)
        if _is_class(tree, inner):
            break
        folder = inner
    return folder


def _is_class(tree: ImageTree, folder: str) -> bool:
    """Tell a folder of images from one that holds class folders or labelled names."""
    return tree.images(folder).num_unnamed > STRAY_SHARE * tree.count(folder)
