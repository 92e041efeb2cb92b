"""The classes of a source: their order, and what is odd about them."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from alexnet.pipeline.config import Split
from alexnet.pipeline.files import name_some

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def sorted_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names in their one order: numbers by value, ties by the text."""
    names = sorted(names)
    if all(NUMBER.fullmatch(name) for name in names):
        names.sort(key=float)
    return tuple(names)


def class_warnings(
    class_names: Sequence[str], held: Collection[tuple[Split | None, int]]
) -> list[str]:
    """Return what a user should look at before training on these classes.

    Args:
        held: the splits that there are images of, each with the number of their class.
    """
    warnings = []
    similar: dict[str, list[str]] = defaultdict(list)
    for name in class_names:
        folded = unicodedata.normalize("NFC", name).casefold()
        similar[" ".join(folded.split())].append(name)
    pairs = [" and ".join(map(repr, names)) for names in similar.values() if names[1:]]
    if pairs:
        warnings.append(
            "classes whose names differ only in case, spaces or Unicode form are kept"
            f" apart: {name_some(pairs)}"
        )
    trained = {label for split, label in held if split in (None, "train")}
    others = sorted({label for _, label in held} - trained)
    if others:
        names = name_some([class_names[label] for label in others])
        warnings.append(f"classes without an image to train on: {names}")
    return warnings
