"""Given splits: the classes in folders with names such as `training_set`.

Either a folder for each split, with anything inside that gives classes; or in every
class folder one for each split. Without either there are labels alone.
"""

from __future__ import annotations

from alexnet.pipeline.config import LabelSource, Split
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import count, name_some
from alexnet.pipeline.source.image_tree import ImageTree, folder_name, unwrapped
from alexnet.pipeline.source.labels import (
    EXPECTED,
    FolderLabels,
    ImageLabel,
    label_folder,
)
from alexnet.pipeline.source.split_names import split_named


def find_labels(tree: ImageTree, asked: LabelSource, where: str) -> FolderLabels:
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
    if not labels.num_labelled:
        raise _no_labels(labels, where)
    return labels


def _no_labels(labels: FolderLabels, where: str) -> DataError:
    some = labels.first_stray
    if labels.kind == "folder":
        return DataError(
            f"`labels='folder'`, but the images of {where} lie in no class folders,"
            f" such as {some!r}. Move them into some, or leave `labels` out."
        )
    return DataError(
        f"{where}: {count(labels.num_strays, 'image')}, and none has a label, such as"
        f" {some!r}. {EXPECTED}"
    )


def _given_splits(
    tree: ImageTree, top: str, asked: LabelSource, where: str
) -> FolderLabels | None:
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
    labelled = [folder for folder in splits if parts[folder].num_labelled]
    classes = {name for folder in labelled for name in parts[folder].classes}
    if asked == "folder" and not labelled:
        return None  # the user says so: they are the classes
    if others and (not labelled or len(classes) < 2):
        return None  # a class may be called `train`
    _require_split_layout(tree, splits, others, labelled, asked, where)
    if others and len(set(splits.values())) < 2:
        return None
    labels = FolderLabels(parts[labelled[0]].kind)
    for folder in labelled:
        labels.add(parts[folder], splits[folder])
    for folder in (*splits, *others):
        if folder not in labelled:
            labels.put(tree, folder, ImageLabel())
    beside = "it lies beside the folders of the splits"
    labels.set_aside(top, tree.images(top), beside)
    return labels


def _forget_dummies(parts: dict[str, FolderLabels], splits: dict[str, Split]) -> None:
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
            part.num_labelled = 0


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
            some = tree.first(folder)
            raise DataError(
                f"{where}: {names} is named as splits are, and the images in {folder}"
                f" carry no label, such as {some}. {EXPECTED} Say `labels='folder'` if"
                " these folders are the classes."
            )


def _splits_in_classes(tree: ImageTree, top: str) -> FolderLabels | None:
    """Return the labels of class folders in which splits lie; None where none do."""
    classes = tree.folders(top)
    inner = [folder for name in classes for folder in tree.folders(name)]
    flat = any(tree.images(folder).count for folder in (top, *classes))
    splits = {folder: split_named(folder_name(folder)) for folder in inner}
    if flat or len(classes) < 2 or "train" not in splits.values():
        return None
    labels = FolderLabels("folder")
    for folder, split in splits.items():
        if split is None:
            return None
        class_folder = folder[: -len(folder_name(folder)) - 1]
        labels.put(tree, folder, ImageLabel(folder_name(class_folder), split))
    return labels
