"""Kaggle's submission form: an id for each image, and its probabilities, as CSV."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from pipeline.files import atomic_path


def submission_ids(keys: Sequence[str]) -> list[str]:
    """Ids of images by their posix paths: 42 for `42.jpg`, a/1 for `a/1.jpg`.

    Other names keep their ending, and so do those that differ in nothing else: files
    that differ have different ids.
    """
    short = {key: _without_ending(key) for key in keys}
    shared = Counter(short.values())
    return [short[key] if shared[short[key]] == 1 else key for key in keys]


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
    "Dogs vs. Cats Redux" asks; with more, a column a class. Ids that are all numbers
    are sorted as such.
    """
    two = len(class_names) == 2
    ids = list(probabilities)
    if all(map(str.isdecimal, ids)):
        ids.sort(key=int)
    with (
        atomic_path(path) as partial,
        partial.open("w", -1, "utf-8", "surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["id", *(["label"] if two else class_names)])
        for name in ids:
            values = probabilities[name]
            writer.writerow([name, *(values[1:] if two else values)])
