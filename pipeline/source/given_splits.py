"""Given splits: names such as `training_set`, and the classes in folders so named.

Either a folder for each split, with anything inside that gives classes; or in every
class folder one for each split. Without either there are labels alone.
"""

from __future__ import annotations

import re

from alexnet.pipeline.config import LabelSource, Split
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import count, name_some
from alexnet.pipeline.source.labels import (
    EXPECTED,
    ImageTree,
    Labels,
    folder_name,
    label_folder,
    unwrapped,
)

SPLIT_WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# The words of `training_set`, `trainset`, `val2017` and `Test Images`.
WORD = re.compile(r"[^\W\d_]+")


def split_named(name: str) -> Split | None:
    """Return the split that the first or the last word of a name says; None without."""
    words = [word.removesuffix("set") for word in WORD.findall(name.lower())]
    words = [word for word in words if word]
    for word in (*words[:1], *words[-1:]):
        if word in SPLIT_WORDS:
            return SPLIT_WORDS[word]
    return None


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
        or label_folder(tree, top, asked, where)
    )
    if not labels.names:
        raise _no_labels(labels, where)
    return labels


def _no_labels(labels: Labels, where: str) -> DataError:
    some = min(labels.strays)
    if labels.kind == "folder":
        return DataError(
            f"`labels='folder'`, but the images of {where} lie in no class folders,"
            f" such as {some!r}. Move them into some, or leave `labels` out."
        )
    return DataError(
        f"{where}: {count(len(labels.strays), 'image')}, and none has a label, such as"
        f" {some!r}. {EXPECTED}"
    )


def _given_splits(
    tree: ImageTree, top: str, asked: LabelSource, where: str
) -> Labels | None:
    """Return the labels of folders named as splits; None where they are not."""
    named = {folder: split_named(folder_name(folder)) for folder in tree.folders(top)}
    splits = {folder: split for folder, split in named.items() if split}
    others = [folder for folder, split in named.items() if not split]
    if not splits:
        return None
    parts = {
        folder: label_folder(tree, unwrapped(tree, folder), asked, where)
        for folder in splits
    }
    _forget_dummies(parts, splits)
    labelled = [folder for folder in splits if parts[folder].names]
    classes = {name for folder in labelled for name in parts[folder].classes}
    if asked == "folder" and not labelled:
        return None  # the user says so: they are the classes
    if others and (not labelled or len(classes) < 2):
        return None  # a class may be called `train`
    _require_split_layout(tree, splits, others, labelled, asked, where)
    if others and len(set(splits.values())) < 2:
        return None
    labels = Labels(parts[labelled[0]].kind)
    for folder in labelled:
        labels.add(parts[folder], splits[folder])
    left_out = [*(folder for folder in splits if folder not in labelled), *others]
    labels.unlabelled = [key for folder in left_out for key in tree.below(folder)]
    beside = "it lies beside the folders of the splits"
    labels.strays |= dict.fromkeys(tree.images(top), beside)
    return labels


def _forget_dummies(parts: dict[str, Labels], splits: dict[str, Split]) -> None:
    """Take the one folder in a test folder, such as test/unknown, for no class."""
    others = {
        name
        for folder, part in parts.items()
        if splits[folder] != "test"
        for name in part.classes
    }
    for folder, part in parts.items():
        lone = splits[folder] == "test" and len(part.classes) == 1 < len(others)
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
    """Check that folders named as splits can be taken for that, or for classes."""
    names = name_some([folder_name(folder) for folder in splits])
    if others and len(set(splits.values())) < 2 and asked == "auto":
        beside = name_some([folder_name(folder) for folder in others])
        raise DataError(
            f"{where}: {names} is named as a split and holds classes, and beside it"
            f" lies {beside}. Give {next(iter(splits))} as the source, or say"
            " `labels='folder'` if all of them are classes."
        )
    for folder, split in splits.items():
        if folder not in labelled and (split != "test" or not labelled):
            some = next(tree.below(folder))
            raise DataError(
                f"{where}: {names} is named as splits are, and the images in {folder}"
                f" carry no label, such as {some}. {EXPECTED} Say `labels='folder'` if"
                " these folders are the classes."
            )


def _splits_in_classes(tree: ImageTree, top: str) -> Labels | None:
    """Return the labels of class folders in which splits lie; None where none do."""
    classes = tree.folders(top)
    inner = [folder for name in classes for folder in tree.folders(name)]
    flat = any(tree.images(folder) for folder in (top, *classes))
    splits = {folder: split_named(folder_name(folder)) for folder in inner}
    if flat or len(classes) < 2 or "train" not in splits.values():
        return None
    labels = Labels("folder")
    for folder, split in splits.items():
        if split is None:
            return None
        name = folder_name(folder[: -len(folder_name(folder)) - 1])
        labels.add(Labels("folder", dict.fromkeys(tree.below(folder), name)), split)
    return labels
