"""The class and the given split of every image, where folders are named as splits.

A folder a split, with anything inside that tells classes; or in every class folder one
folder a split. Without any of them, labels alone.
"""

from __future__ import annotations

from alexnet.pipeline.config import LabelSource, Split
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import count, name_some
from alexnet.pipeline.source.image_tree import ImageTree, folder_name
from alexnet.pipeline.source.labels import EXPECTED, Labels, label_folder, unwrapped
from alexnet.pipeline.source.split_names import split_named


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
        one: label_folder(tree, unwrapped(tree, one), asked, where) for one in splits
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
            f" lies {beside}. Give {next(iter(splits))} as the source, or say"
            " `labels='folder'` if all of them are classes."
        )
    for one, split in splits.items():
        if one not in labelled and (split != "test" or not labelled):
            some = next(tree.below(one))
            raise DataError(
                f"{where}: {names} is named as splits are, and the images in {one}"
                f" carry no label, such as {some}. {EXPECTED} Say `labels='folder'` if"
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
