"""The class of every image of a folder, from class folders or file names.

Below lone wrapper folders lie class folders, or images named like `cat.9194.jpg`. What
is decided is a rule for each folder, which the images in it are held against.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from alexnet.pipeline.config import LabelSource, Split
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import count, name_some
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.source.image_files import ListedFile, Listing
from alexnet.pipeline.source.image_tree import (
    STRAY_SHARE,
    FolderImages,
    ImageTree,
    folder_name,
    label_in_name,
)
from alexnet.pipeline.source.stores import folder_of

EXPECTED = (
    "Expected class folders (cat/1.jpg), names like cat.1.jpg, or a CSV with"
    " filename,label."
)
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
NO_LABEL = "its name carries no label, as in cat.1.jpg"


class ImageLabel(NamedTuple):
    """An image's class, and its split where one is given.

    Without a class it is set aside for a reason; without that too it is an image of a
    test set that has no labels, and left out.
    """

    class_name: str | None = None
    split: Split | None = None
    reason: str = ""


class Rule(NamedTuple):
    """The label of all images directly in a folder, but for what their names say."""

    label: ImageLabel
    # The class is in an image's own name; the label is that of those without one.
    by_name: bool = False

    def of(self, key: str) -> ImageLabel:
        """Return the label of an image."""
        name = label_in_name(key) if self.by_name else None
        return self.label if name is None else ImageLabel(name, self.label.split)


@dataclass
class FolderLabels:
    """The rule of every folder with images, and what follows from all of them."""

    kind: LabelSource
    rules: dict[str, Rule] = field(default_factory=dict)
    classes: set[str] = field(default_factory=set)
    num_labelled: int = 0
    num_strays: int = 0
    # The first image by its key that is set aside.
    first_stray: str = ""

    def of(self, file: ListedFile) -> ImageLabel | None:
        """Return the label of an image; None of a file that is none."""
        return self.rules[folder_of(file.key)].of(file.key) if file.is_image else None

    def put(self, tree: ImageTree, folder: str, label: ImageLabel) -> None:
        """Give all images in a folder and below it a class, or leave them out."""
        self.rules |= {inner: Rule(label) for inner, _ in tree.below(folder)}
        if label.class_name is not None:
            self.classes.add(label.class_name)
            self.num_labelled += tree.count(folder)

    def put_names(self, tree: ImageTree, folder: str) -> None:
        """Give images in a folder and below it the classes that their names carry."""
        for inner, images in tree.below(folder):
            self.rules[inner] = Rule(ImageLabel(reason=NO_LABEL), by_name=True)
            self.num_labelled += images.count - images.num_unnamed
            self._count_strays(images.num_unnamed, images.first_unnamed)

    def set_aside(self, folder: str, images: FolderImages, reason: str) -> None:
        """Set the images directly in a folder aside."""
        self.rules[folder] = Rule(ImageLabel(reason=reason))
        self._count_strays(images.count, images.first)

    def _count_strays(self, number: int, first: str) -> None:
        if number:
            self.num_strays += number
            self.first_stray = min(self.first_stray or first, first)

    def add(self, part: FolderLabels, split: Split) -> None:
        """Take in the images of a split."""
        for folder, (label, by_name) in part.rules.items():
            self.rules[folder] = Rule(label._replace(split=split), by_name)
        self.classes |= part.classes
        self.num_labelled += part.num_labelled
        self._count_strays(part.num_strays, part.first_stray)


def require_images(
    tree: ImageTree, listing: Listing, path: Place, asked: LabelSource
) -> None:
    """Check that there are images, and a table where one is asked for.

    Raises:
        DataError: there are none, or there is no table.
    """
    has_images = tree.count("") > 0
    if has_images and asked == "csv":
        raise DataError(
            f"`labels='csv'`, but {path} has no CSV file with the columns"
            " filename,label. Put one beside the images, or leave `labels` out."
        )
    if has_images:
        return
    keys = (file.key for file in listing.files)
    archives = [key for key in keys if key.lower().endswith(ARCHIVE_SUFFIXES)]
    if archives:
        raise DataError(
            f"no images in {path}, but archives: {name_some(archives)}. Unpack them,"
            f" and give the folder or the one archive with the training images, such as"
            f" {min(archives, key=lambda key: 'train' not in key)}."
        )
    others = len(listing.files) + len(listing.left_out)
    found = f"found {count(others, 'other file')}" if others else "it holds no files"
    raise DataError(f"no images in {path}: {found}. {EXPECTED}")


def label_folder(
    tree: ImageTree, folder: str, asked: LabelSource, where: str
) -> FolderLabels:
    """Return the labels of all images below a folder that is no set of splits."""
    flat = tree.images(folder)
    if asked == "name":
        return _by_name(tree, folder, where)
    if asked == "auto":
        nested = tree.count(folder) - flat.count
        if nested <= STRAY_SHARE * flat.count:
            return _by_name(tree, folder, where)
        _require_no_mixture(tree, folder, where)
        _require_classes_here(tree, folder, where)
    labels = FolderLabels("folder")
    for class_folder in tree.folders(folder):
        labels.put(tree, class_folder, ImageLabel(folder_name(class_folder)))
    labels.set_aside(folder, flat, "it lies in no class folder")
    _require_few_strays(labels, where, "images lie in no class folder")
    return labels


def _by_name(tree: ImageTree, folder: str, where: str) -> FolderLabels:
    labels = FolderLabels("name")
    labels.put_names(tree, folder)
    _require_few_strays(labels, where, "names carry no label")
    labels.classes = set(tree.names(folder))
    return labels


def _require_few_strays(labels: FolderLabels, where: str, what: str) -> None:
    """Check that images without a label are few, or all, which is another matter."""
    total = labels.num_labelled + labels.num_strays
    if labels.num_labelled and labels.num_strays > STRAY_SHARE * total:
        raise DataError(
            f"{where}: {labels.num_strays:,} of {total:,} {what}, such as"
            f" {labels.first_stray!r}. {EXPECTED}"
        )


def _require_no_mixture(tree: ImageTree, folder: str, where: str) -> None:
    flat, total = tree.images(folder), tree.count(folder)
    if flat.count > STRAY_SHARE * total:
        first = tree.first(tree.folders(folder)[0])
        raise DataError(
            f"{where} mixes images in class folders ({total - flat.count:,}, such as"
            f" {first}) with images beside them ({flat.count:,}, such as {flat.first})."
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
