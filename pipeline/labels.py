"""The class and the split of every image, as folders and file names tell them.

Below lone wrapper folders lie class folders, or images named like `cat.9194.jpg`, or a
folder a split that holds one of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from posixpath import basename

from pipeline.config import LabelSource, Split
from pipeline.errors import DataError
from pipeline.files import name_some
from pipeline.image_tree import ImageTree, folder_name
from pipeline.split_names import split_named

# cat.9194.jpg, st.bernard.1.jpg, cat.163: a label, a number, mostly an ending.
LABELLED_NAME = re.compile(r"(.+)\.\d+(\.[^./]+)?", re.DOTALL)
# So many images of a source may lie where no label can be told, and be set aside; more
# of them are a mixture of layouts, which only a person can sort out.
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
    # Why an image has no label, by key: it is set aside.
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


def label_in_name(key: str) -> str | None:
    """Return the label that an image's own name carries; None without one."""
    match = LABELLED_NAME.fullmatch(basename(key))
    return match[1] if match else None


def find_labels(tree: ImageTree, asked: LabelSource, where: str) -> Labels:
    """Return the labels of a source's images.

    Args:
        asked: `folder` or `name` where the user has said which, else `auto`.
        where: what errors call the source.

    Raises:
        DataError: it is not clear which class the images have.
    """
    top = unwrapped(tree)
    labels = (
        _given_splits(tree, top, asked, where)
        or _splits_in_classes(tree, top)
        or _of_folder(tree, top, asked, where)
    )
    if not labels.names:
        raise _no_labels(labels, where)
    return labels


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


def _of_folder(tree: ImageTree, folder: str, asked: LabelSource, where: str) -> Labels:
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
    for one in inner:
        labels.names |= dict.fromkeys(tree.below(one), folder_name(one))
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
    """Check that images without a label are few, or all, which is another matter.

    Raises:
        DataError: they are many.
    """
    strays, total = labels.strays, len(labels.names) + len(labels.strays)
    if labels.names and len(strays) > STRAY_SHARE * total:
        raise DataError(
            f"{where}: {len(strays):,} of {total:,} {what}, such as {min(strays)!r}."
            f" {EXPECTED}"
        )


def _no_labels(labels: Labels, where: str) -> DataError:
    some = min(labels.strays)
    if labels.kind == "folder":
        return DataError(
            f"--labels folder, but the images of {where} lie in no class folders, such"
            f" as {some!r}. Move them into some, or leave --labels out."
        )
    return DataError(
        f"{where}: none of the {len(labels.strays):,} images has a label, such as"
        f" {some!r}. {EXPECTED}"
    )


def _require_no_mixture(tree: ImageTree, folder: str, where: str) -> None:
    flat, total = tree.images(folder), tree.count(folder)
    if len(flat) > STRAY_SHARE * total:
        first = next(tree.below(tree.folders(folder)[0]))
        raise DataError(
            f"{where} mixes images in class folders ({total - len(flat):,}, such as"
            f" {first}) with images beside them ({len(flat):,}, such as {flat[0]})."
            " Move them apart, or say --labels folder, name or csv."
        )


def _require_classes_here(tree: ImageTree, folder: str, where: str) -> None:
    """Check that the folders here, and not those in them, look like the classes.

    Raises:
        DataError: the same folders lie in every one of them.
    """
    tops = tree.folders(folder)
    below = [{folder_name(one) for one in tree.folders(top)} for top in tops]
    common = sorted(set.intersection(*below))
    if len(tops) > 1 and len(common) > 1:
        names = name_some([folder_name(top) for top in tops])
        raise DataError(
            f"{where}: every one of {names} holds the folders {name_some(common)}, so"
            f" the classes seem to lie one level deeper. Give one of them (such as"
            f" {tops[0]}), name them as splits (train, validation, test), or say"
            f" --labels folder if {names} are the classes."
        )


def _given_splits(
    tree: ImageTree, top: str, asked: LabelSource, where: str
) -> Labels | None:
    """Return the labels of folders that are named as splits; None where they are not.

    Raises:
        DataError: it is not clear whether they are.
    """
    named = {one: split_named(folder_name(one)) for one in tree.folders(top)}
    splits = {one: split for one, split in named.items() if split}
    others = [one for one, split in named.items() if not split]
    if not splits:
        return None
    parts = {
        one: _of_folder(tree, unwrapped(tree, one), asked, where) for one in splits
    }
    _forget_dummies(parts, splits)
    labelled = [one for one in splits if parts[one].names]
    classes = {name for one in labelled for name in parts[one].classes}
    if asked == "folder" and not labelled:
        return None  # the user says so: they are the classes
    if others and (not labelled or len(classes) < 2):
        return None  # a class may be called `train`
    _require_split_layout(tree, splits, others, labelled, asked, where)
    if others and len(set(splits.values())) < 2:
        return None
    labels = Labels(parts[labelled[0]].kind)
    for one in labelled:
        labels.add(parts[one], splits[one])
    left_out = [*(one for one in splits if one not in labelled), *others]
    labels.unlabelled = [key for one in left_out for key in tree.below(one)]
    beside = "it lies beside the folders of the splits"
    labels.strays |= dict.fromkeys(tree.images(top), beside)
    return labels


def _forget_dummies(parts: dict[str, Labels], splits: dict[str, Split]) -> None:
    """Take the one folder in a test folder, such as test/unknown, for no class."""
    others = {
        name
        for one, part in parts.items()
        if splits[one] != "test"
        for name in part.classes
    }
    for one, part in parts.items():
        lone = splits[one] == "test" and len(part.classes) == 1 < len(others)
        if lone and not part.classes & others:
            part.names = {}


def _require_split_layout(
    tree: ImageTree,
    splits: dict[str, Split],
    others: list[str],
    labelled: list[str],
    asked: LabelSource,
    where: str,
) -> None:
    """Check that folders named as splits can be taken for that, or for classes.

    Raises:
        DataError: they can be taken for neither.
    """
    names = name_some([folder_name(one) for one in splits])
    if others and len(set(splits.values())) < 2 and asked == "auto":
        beside = name_some([folder_name(one) for one in others])
        raise DataError(
            f"{where}: {names} is named as a split and holds classes, and beside it"
            f" lies {beside}. Give {next(iter(splits))} as the source, or say --labels"
            " folder if all of them are classes."
        )
    for one, split in splits.items():
        if one not in labelled and (split != "test" or not labelled):
            some = next(tree.below(one))
            raise DataError(
                f"{where}: {names} is named as splits are, and the images in {one}"
                f" carry no label, such as {some}. {EXPECTED} Say --labels folder if"
                " these folders are the classes."
            )


def _splits_in_classes(tree: ImageTree, top: str) -> Labels | None:
    """Return the labels of class folders in which splits lie; None where none do."""
    classes = tree.folders(top)
    inner = [one for name in classes for one in tree.folders(name)]
    flat = any(tree.images(one) for one in (top, *classes))
    splits = {one: split_named(folder_name(one)) for one in inner}
    if flat or len(classes) < 2 or "train" not in splits.values():
        return None
    labels = Labels("folder")
    for one, split in splits.items():
        if split is None:
            return None
        name = folder_name(one[: -len(folder_name(one)) - 1])
        labels.add(Labels("folder", dict.fromkeys(tree.below(one), name)), split)
    return labels
