"""The card of a finished record set, `dataset.json`, written last.

A folder that has it is whole. It names the classes, the splits and every shard with
its size and checksum, and the settings that made them.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from itertools import accumulate
from typing import Any, get_args

from alexnet.pipeline.config import BuildConfig, Split
from alexnet.pipeline.config_json import require_kinds
from alexnet.pipeline.errors import AlexnetError, DataError, RemoteError
from alexnet.pipeline.files import fingerprint
from alexnet.pipeline.records.fixed_layout import PAGE_BYTES, Layout, plan_layout
from alexnet.pipeline.remote.place import Place, as_place, put_bytes, put_json

MANIFEST = "dataset.json"
LABELS = "labels.txt"
FORMAT = 1
# Splits that every set has, if only empty ones; `test` is there where it was given.
ALWAYS_SPLITS = {"train", "validation"}
# Advice for a set that lacks a split.
TO_HAVE = {
    "train": "Build with a smaller `validation_fraction`, or give training images.",
    "validation": "Build with another `validation_fraction`.",
    "test": "One is built of a folder, or of a CSV's column `split`, that names it.",
}
# A bare file name: a record set from elsewhere must not point at other files.
NUMBERED = r"-[0-9]{5,}-of-[0-9]{5,}\.tfrecord"
SHARD_NAME = f"({'|'.join(get_args(Split))}){NUMBERED}"
# The ends of a line, as `str.splitlines` has them.
LINE_ENDS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Errors of reading JSON that holds something else.
NO_CARD = (AttributeError, KeyError, RecursionError, TypeError, ValueError)


# Without a dictionary each: a set of a billion images has 100 000.
@dataclass(frozen=True, slots=True)
class Shard:
    """One finished shard file; `crc32c` is over the whole file."""

    name: str
    num_examples: int
    num_bytes: int
    crc32c: int


@dataclass(frozen=True)
class SplitCard:
    """A split's shards and how many examples of each class they hold."""

    shards: tuple[Shard, ...]
    class_counts: tuple[int, ...]

    @property
    def num_examples(self) -> int:
        """Examples of all classes."""
        return sum(self.class_counts)

    @property
    def num_bytes(self) -> int:
        """Bytes of all shards."""
        return sum(shard.num_bytes for shard in self.shards)


@dataclass(frozen=True)
class SourceSizes:
    """The photos' shorter sides before they were scaled, in pixels."""

    smallest: int
    median: int
    largest: int
    # How many photos are smaller than the stored side, and were scaled up.
    num_smaller: int

    @classmethod
    def of(cls, shorter_sides: Counter[int], side: int) -> SourceSizes | None:
        """Return the sizes of photos counted by shorter side; None without photos."""
        sides = sorted(shorter_sides)
        if not sides:
            return None
        numbers = [shorter_sides[one] for one in sides]
        half = -(-sum(numbers) // 2)
        median = sides[bisect_left([*accumulate(numbers)], half)]
        smaller = sum(shorter_sides[one] for one in sides if one < side)
        return cls(sides[0], median, sides[-1], smaller)


@dataclass(frozen=True)
class Manifest:
    """The description of a record set, as `dataset.json` holds it."""

    config: BuildConfig
    class_names: tuple[str, ...]
    splits: dict[str, SplitCard]
    quarantined: int
    source_fingerprint: str
    # Of the storages whose shards can be mapped.
    layout: Layout | None = None
    # Found out by a build; None of photos that are read as they are.
    duplicates: int | None = None
    duplicates_across_splits: int | None = None
    duplicates_with_other_label: int | None = None
    source_sizes: SourceSizes | None = None

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The shards of all splits."""
        return tuple(shard for card in self.splits.values() for shard in card.shards)

    @property
    def fingerprint(self) -> str:
        """Equal for record sets with the same bytes, wherever they lie."""
        shards = {k: [s.crc32c for s in v.shards] for k, v in self.splits.items()}
        return fingerprint([self.class_names, shards, self.source_fingerprint])

    def split(self, name: str) -> SplitCard:
        """A split's card.

        Raises:
            DataError: there is no such split, or it is empty.
        """
        card = self.splits.get(name)
        if card is None or not card.num_examples:
            held = ", ".join(k for k, v in self.splits.items() if v.num_examples)
            raise DataError(
                f"the records have no {name} examples (they have: {held or 'none'})."
                f" {TO_HAVE.get(name, 'Choose one of these.')}"
            )
        return card

    def first_split(self, *names: str) -> str:
        """The first of `names` that has examples; the first one where none has."""
        counts = {name: card.num_examples for name, card in self.splits.items()}
        return next((name for name in names if counts.get(name)), names[0])

    def to_json(self) -> dict[str, Any]:
        """Return the contents of `dataset.json`."""
        return {"format": FORMAT, **asdict(self)}

    def save(self, folder: Place) -> None:
        """Write `labels.txt`, then `dataset.json`."""
        self.save_labels(folder)
        put_json(folder / MANIFEST, self.to_json())

    def save_labels(self, folder: Place) -> None:
        """Write `labels.txt` so that it is whole or absent."""
        put_bytes(folder / LABELS, self.labels_text())

    def labels_text(self) -> bytes:
        """Return the contents of `labels.txt`: a name a line, in UTF-8."""
        return labels_text(self.class_names)


def labels_text(class_names: Iterable[str]) -> bytes:
    """A file of labels: a name a line, in UTF-8."""
    return b"".join(label_line(name) + b"\n" for name in class_names)


def label_line(name: str) -> bytes:
    """A class name in UTF-8, on one line whatever is in it: a line's end as its escape.

    Raises:
        UnicodeEncodeError: it is no text and was no file's name.
    """
    escaped = LINE_ENDS.sub(lambda end: repr(end.group())[1:-1], name)
    return escaped.encode("utf-8", "surrogateescape")


def load_manifest(folder: Place) -> Manifest:
    """The manifest of the record set in `folder`.

    Raises:
        DataError: there is no such folder, or it is no finished record set.
    """
    folder = as_place(folder)
    path = folder / MANIFEST
    try:
        return _from_json(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise _no_set_in(folder) from None
    except (*NO_CARD, AlexnetError) as error:
        if isinstance(error, RemoteError):
            raise
        raise DataError(
            f"{path} is damaged or of another version: {error}. It cannot be repaired,"
            " or is another program's: make the set in another folder (`alexnet records"
            " build SOURCE --out NEW`), or remove this one by hand first."
        ) from error


def _no_set_in(folder: Place) -> DataError:
    if folder.is_file():
        return DataError(f"{folder} is a file; expected the folder of a record set")
    if not folder.is_dir():
        return DataError(
            f"no such folder: {folder}. Expected a record set; make one with"
            f" `alexnet records build SOURCE --out {folder}`."
        )
    return DataError(
        f"{folder} is no finished record set: it has no {MANIFEST}. Make one, or"
        f" finish it, with `alexnet records build SOURCE --out {folder}`."
    )


def _from_json(values: dict[str, Any]) -> Manifest:
    if values.get("format") != FORMAT:
        held = values.get("format")
        raise ValueError(f"its format is {held}, this version reads {FORMAT}")
    require_kinds(Manifest, values)
    plain = {field.name: values[field.name] for field in fields(Manifest)}
    layout, sizes = values["layout"], values["source_sizes"]
    objects: dict[str, Any] = {
        "config": BuildConfig.from_json(values["config"]),
        "class_names": tuple(values["class_names"]),
        "splits": {name: _split_card(card) for name, card in values["splits"].items()},
        "layout": None if layout is None else Layout(**layout),
        "source_sizes": None if sizes is None else SourceSizes(**sizes),
    }
    manifest = Manifest(**(plain | objects))
    _require_sound(manifest)
    return manifest


def _split_card(values: dict[str, Any]) -> SplitCard:
    shards = tuple(Shard(**shard) for shard in values["shards"])
    return SplitCard(shards, tuple(values["class_counts"]))


def _require_sound(manifest: Manifest) -> None:
    """Check what readers rely on."""
    names = manifest.class_names
    if not names or len(set(names)) != len(names):
        raise ValueError(f"class names {names}: they must be there, and distinct")
    manifest.labels_text()  # refuses names that cannot be written
    found = set(manifest.splits)
    if not ALWAYS_SPLITS <= found <= set(get_args(Split)):
        raise ValueError(f"splits {', '.join(manifest.splits)}, not those of a build")
    for split, card in manifest.splits.items():
        _require_sound_split(split, card, len(names))
    _require_layout(manifest)


def _require_sound_split(split: str, card: SplitCard, num_classes: int) -> None:
    for shard in card.shards:
        if not re.fullmatch(split + NUMBERED, shard.name):
            raise ValueError(f"{shard.name!r} is no name of a {split} shard")
    held = [shard.num_examples for shard in card.shards]
    sizes = [shard.num_bytes for shard in card.shards]
    if min(*held, *sizes, *card.class_counts, 0) < 0:
        raise ValueError(f"it counts less than nothing in {split}")
    if len(card.class_counts) != num_classes or sum(held) != card.num_examples:
        raise ValueError(f"its counts of {split} do not add up")


def _require_layout(manifest: Manifest) -> None:
    layout, planned = manifest.layout, plan_layout(manifest.config, 0)
    if layout is None or planned is None:
        if layout is not planned:
            raise ValueError(f"layout {layout} of {manifest.config.storage} records")
        return
    stride = layout.stride_bytes
    longer = replace(planned, stride_bytes=stride)  # names have made it so
    aligned = stride >= planned.stride_bytes and stride % PAGE_BYTES == 0
    whole = all(s.num_bytes == s.num_examples * stride for s in manifest.shards)
    if not (layout == longer and aligned and whole):
        raise ValueError(f"{layout} is not that of its settings and shards")
