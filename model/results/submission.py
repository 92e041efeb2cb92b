"""Kaggle's submission form: an id for each image, and its probabilities, as CSV."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from alexnet.pipeline.files import atomic_path


def submission_ids(keys: Sequence[str]) -> list[str]:
    """Ids of images by their posix paths, different ones for different images.

    42 for `test/42.jpg` and b.c.jpg for `test/b.c.jpg`; where that does not tell all of
    them apart, a/1 for `a/1.jpg`, or the whole path where files differ in their ending.
    """
    images = list(dict.fromkeys(keys))
    for shorten in (_name, _without_ending):
        ids = {key: shorten(key) for key in images}
        if len(set(ids.values())) == len(images):
            return [ids[key] for key in keys]
    shared = Counter(ids.values())
    return [ids[key] if shared[ids[key]] == 1 else key for key in keys]


def _name(key: str) -> str:
    return PurePosixPath(_without_ending(key)).name


def _without_ending(key: str) -> str:
    path = PurePosixPath(key)
    return str(path.with_suffix("") if path.stem.isdecimal() else path)


def write_submission(
    path: Path,
    class_names: Sequence[str],
    probabilities: Mapping[str, Sequence[float]],
) -> None:
    """Write the probabilities of images by their ids.

    With two classes `id,label`, the label being the probability of the second class, as
    "Dogs vs. Cats Redux" asks; with more, a column a class.
    """
    two = len(class_names) == 2
    with (
        atomic_path(path) as partial,
        partial.open("w", -1, "utf-8", "surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["id", *(["label"] if two else class_names)])
        for name, values in probabilities.items():
            writer.writerow([name, *(values[1:] if two else values)])
