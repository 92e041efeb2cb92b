"""The files of every split, in the order that a build gives them.

That is the order of a salted hash of the key. Splits are those that the source gives;
where it gives none, each class's first files are held out for validation. Files are
sorted and kept on the disk.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from alexnet.pipeline.config import BuildConfig, Split
from alexnet.pipeline.source.scan import ImageFile
from alexnet.pipeline.table import Row, Rows, Table, sorted_rows


class SplitFiles:
    """The files of a split, in order."""

    def __init__(self) -> None:
        self.table = Table()
        # Of the files as the source has them.
        self.source_bytes = 0

    def __len__(self) -> int:
        return len(self.table)

    @property
    def files(self) -> Rows[ImageFile]:
        """The files, when all are there."""
        return Rows(self.table, ImageFile)


class _Survey:
    """Counts and longest names of all files, taken before any file has a split."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self._name_bytes = [len(_encoded(name)) for name in class_names]
        self._counts: Counter[tuple[Split | None, int]] = Counter()
        self.longest_names = 0

    def salted_rows(self, files: Iterable[ImageFile], seed: int) -> Iterator[Row]:
        """Yield the rows of files, each behind the hash that orders them."""
        for file in files:
            key, label, _, split = file
            self._counts[split, label] += 1
            length = len(_encoded(key)) + self._name_bytes[label]
            if length > self.longest_names:
                self.longest_names = length
            yield _salted(key, seed), *file

    def validation_counts(self, config: BuildConfig) -> list[int]:
        """Return how many of each class are drawn; none where the source gives some."""
        labels = range(len(self._name_bytes))
        if any(split == "validation" for split, _ in self._counts):
            return [0 for _ in labels]
        counts = [self._counts[None, i] + self._counts["train", i] for i in labels]
        return validation_counts(counts, config.validation_fraction, config.seed)


def split_files(
    files: Iterable[ImageFile], class_names: Sequence[str], config: BuildConfig
) -> tuple[dict[Split, SplitFiles], int]:
    """Return the files of every split, and the bytes of the longest names.

    Those are the most that a file's key and class name take together.

    Raises:
        DataError: the disk has no room for the temporary files.
    """
    survey = _Survey(class_names)
    ordered = sorted_rows(survey.salted_rows(files, config.seed))
    train, validation, test = SplitFiles(), SplitFiles(), SplitFiles()
    splits: dict[Split, SplitFiles]
    splits = {"train": train, "validation": validation, "test": test}
    left = survey.validation_counts(config)
    for hash_and_file in ordered:
        _, _, label, size_bytes, given = hash_and_file
        part = splits[given or "train"]
        if part is train:
            if left[label] > 0:
                part = validation
            left[label] -= 1
        part.table.append(hash_and_file[1:])
        part.source_bytes += size_bytes
    return splits, survey.longest_names


def _encoded(name: str) -> bytes:
    """Return a name as the bytes that a file system has for it."""
    return name.encode("utf-8", "surrogateescape")


def _salted(key: str, seed: int) -> bytes:
    return hashlib.sha256(_encoded(f"{seed}:{key}")).digest()


def validation_counts(
    class_counts: Sequence[int], fraction: float, seed: int
) -> list[int]:
    """Return how many of each class are held out: ceil(fraction x all) in total.

    The total is that of scikit-learn's `train_test_split(test_size=fraction)`, given
    out by largest remainder; the seed decides between equal ones. A class keeps an
    image to train on while others can be held out, and its only image always.
    """
    total = sum(class_counts)
    wanted = math.ceil(fraction * total)
    if fraction == 1 or not total:
        return list(class_counts)
    shares = [count * wanted / total for count in class_counts]
    counts = [
        max(0, min(math.floor(share), count - 1))
        for share, count in zip(shares, class_counts, strict=True)
    ]
    order = sorted(
        range(len(counts)),
        key=lambda label: (counts[label] - shares[label], _salted(str(label), seed)),
    )
    for least in (1, 0):
        while wanted > sum(counts):
            more = [i for i in order if counts[i] < class_counts[i] - least]
            more = [i for i in more if class_counts[i] > 1]
            if not more:
                break
            for label in more[: wanted - sum(counts)]:
                counts[label] += 1
    return counts
