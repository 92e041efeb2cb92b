"""Names that say a split, such as `training_set`."""

from __future__ import annotations

import re

from alexnet.pipeline.config import Split

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
