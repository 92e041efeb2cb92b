"""The class of every image of a folder, from class folders or file names.

Below lone wrapper folders lie class folders, or images named like `cat.9194.jpg`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from posixpath import basename

from alexnet.pipeline.config import LabelSource, Split
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import name_some

# cat.9194.jpg, st.bernard.1.jpg, cat.163: a label, a number, mostly an ending.
LABELLED_NAME = re.compile(r"(.+)\.\d+(\.[^./]+)?", re.DOTALL)
# Share of the images that may lie where they have no label, and be set aside; more of
# them are a mixture of layouts, which only a person can sort out.
STRAY_SHARE = 0.2
EXPECTED = (
    "Expected class folders (cat/1.jpg), names like cat.1.jpg, or a CSV with"
    " filename,label."
)


@dataclass
class Labels:
    """The classes and given splits of images, and the images that have none."""

    kind: LabelSource
    # Class names, and splits where some are given, by key.
    names: dict[str, str] = field(default_factory=dict)
    splits: dict[str, Split] = field(default_factory=dict)
    # The reason why an image has no label and is set aside, by key.
    strays: dict[str, str] = field(default_factory=dict)
    # Images of a test set that has no labels: they are left out.
    unlabelled: list[str] = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        """The names of all classes."""
        return set(self.names.values())

    def add(self, part: Labels, split: Split) -> None:
        """Take in the images of a split."""
        self.names |= part.names
        self.strays |= part.strays
        self.splits |= dict.fromkeys(part.names, split)


class ImageTree:
    """Images by the folder they lie in, and folders by the one above them.

    A folder is its path with a slash at the end; the source itself is ''.
    """

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


def label_in_name(key: str) -> str | None:
    """Return the label that an image's own name carries; None without one."""
    match = LABELLED_NAME.fullmatch(basename(key))
    return match[1] if match else None


def unwrapped(tree: ImageTree, folder: str = "") -> str:
    """Return the folder below which classes are told apart: lone wrappers are passed.

    A lone folder of images whose names carry no label is a class.
    """
    while not tree.images(folder) and len(tree.folders(folder)) == 1:
        (inner,) = tree.folders(folder)
        if _is_class(tree, inner):
            break
        folder = inner
    return folder


def _is_class(tree: ImageTree, folder: str) -> bool:
    """Tell a folder of images from one that holds class folders or labelled names."""
    images = tree.images(folder)
    unlabelled = sum(label_in_name(key) is None for key in images)
    return unlabelled > STRAY_SHARE * tree.count(folder)


def label_folder(
    tree: ImageTree, folder: str, asked: LabelSource, where: str
) -> Labels:
    """Return the labels of all images below a folder that is no set of splits."""
    inner, flat = tree.folders(folder), tree.images(folder)
    if asked == "name":
        return _by_name(tree.below(folder), where)
    if asked == "auto":
        if not inner:
            return _by_name(flat, where)
        nested = tree.count(folder) - len(flat)
        if nested <= STRAY_SHARE * len(flat):
            return _by_name(tree.below(folder), where)
        _require_no_mixture(tree, folder, where)
        _require_classes_here(tree, folder, where)
    labels = Labels("folder")
    for class_folder in inner:
        name = folder_name(class_folder)
        labels.names |= dict.fromkeys(tree.below(class_folder), name)
    labels.strays = dict.fromkeys(flat, "it lies in no class folder")
    _require_few_strays(labels, where, "images lie in no class folder")
    return labels


def _by_name(keys: Iterable[str], where: str) -> Labels:
    labels = Labels("name")
    for key in keys:
        name = label_in_name(key)
        if name is None:
            labels.strays[key] = "its name carries no label, as in cat.1.jpg"
        else:
            labels.names[key] = name
    _require_few_strays(labels, where, "names carry no label")
    return labels


def _require_few_strays(labels: Labels, where: str, what: str) -> None:
    """Check that images without a label are few, or all, which is another matter."""
    strays, total = labels.strays, len(labels.names) + len(labels.strays)
    if labels.names and len(strays) > STRAY_SHARE * total:
        raise DataError(
            f"{where}: {len(strays):,} of {total:,} {what}, such as {min(strays)!r}."
            f" {EXPECTED}"
        )


def _require_no_mixture(tree: ImageTree, folder: str, where: str) -> None:
    flat, total = tree.images(folder), tree.count(folder)
    if len(flat) > STRAY_SHARE * total:
        first = next(tree.below(tree.folders(folder)[0]))
        raise DataError(
            f"{where} mixes images in class folders ({total - len(flat):,}, such as"
            f" {first}) with images beside them ({len(flat):,}, such as {flat[0]})."
            " Move them apart, or say `labels='folder'`, name or csv."
        )


def _require_classes_here(tree: ImageTree, folder: str, where: str) -> None:
    """Check that the folders here, and not those in them, look like the classes."""
    tops = tree.folders(folder)
    below = [{folder_name(inner) for inner in tree.folders(top)} for top in tops]
    common = sorted(set.intersection(*below))
    if len(tops) > 1 and len(common) > 1:
        names = name_some([folder_name(top) for top in tops])
        raise DataError(
            f"{where}: every one of {names} holds the folders {name_some(common)}, so"
            f" the classes seem to lie one level deeper. Give one of them (such as"
            f" {tops[0]}), name them as splits (train, validation, test), or say"
            f" `labels='folder'` if {names} are the classes."
        )
