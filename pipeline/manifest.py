"""The card of a finished record set, `dataset.json`, written last.

A folder that has it is whole. It names the classes, the splits and every shard with
its size and checksum, and the settings that made them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.config import BuildConfig
from pipeline.errors import AlexnetError, DataError
from pipeline.files import fingerprint, write_json

MANIFEST = "dataset.json"
LABELS = "labels.txt"
FORMAT = 1


@dataclass(frozen=True)
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
        """Examples in all shards."""
        return sum(shard.num_examples for shard in self.shards)

    @property
    def num_bytes(self) -> int:
        """Bytes of all shards."""
        return sum(shard.num_bytes for shard in self.shards)


@dataclass(frozen=True)
class Manifest:
    """What a record set is."""

    config: BuildConfig
    class_names: tuple[str, ...]
    splits: dict[str, SplitCard]
    quarantined: int
    source_fingerprint: str

    @property
    def fingerprint(self) -> str:
        """Equal for record sets with the same bytes, wherever they lie."""
        shards = {k: [s.crc32c for s in v.shards] for k, v in self.splits.items()}
        return fingerprint([self.class_names, shards])

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
                " Build with another --validation-fraction."
            )
        return card

    def to_json(self) -> dict[str, Any]:
        """What `dataset.json` holds."""
        return {"format": FORMAT, **asdict(self)}

    def save(self, folder: Path) -> None:
        """Write `labels.txt`, then `dataset.json`."""
        labels = "".join(f"{_one_line(name)}\n" for name in self.class_names)
        (folder / LABELS).write_text(labels, encoding="utf-8", errors="surrogateescape")
        write_json(folder / MANIFEST, self.to_json())


def _one_line(name: str) -> str:
    return name.replace("\n", "\\n").replace("\r", "\\r")


def load_manifest(folder: Path) -> Manifest:
    """The manifest of the record set in `folder`.

    Raises:
        DataError: there is no such folder, or it is no finished record set.
    """
    path = folder / MANIFEST
    if folder.is_file():
        raise DataError(f"{folder} is a file; expected the folder of a record set")
    if not folder.is_dir():
        raise DataError(
            f"no such folder: {folder}. Expected a record set; make one with"
            f" `alexnet records build SOURCE --out {folder}`."
        )
    if not path.is_file():
        raise DataError(
            f"{folder} is no finished record set: it has no {MANIFEST}. Make one, or"
            f" finish it, with `alexnet records build SOURCE --out {folder}`."
        )
    try:
        return _from_json(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError, AlexnetError) as error:
        raise DataError(f"{path} is damaged or of another version: {error}") from error


def _from_json(values: dict[str, Any]) -> Manifest:
    if values["format"] != FORMAT:
        raise ValueError(f"format {values['format']}, this version reads {FORMAT}")
    return Manifest(
        config=BuildConfig.from_json(values["config"]),
        class_names=tuple(values["class_names"]),
        splits={name: _split_card(card) for name, card in values["splits"].items()},
        quarantined=int(values["quarantined"]),
        source_fingerprint=str(values["source_fingerprint"]),
    )


def _split_card(values: dict[str, Any]) -> SplitCard:
    shards = tuple(Shard(**shard) for shard in values["shards"])
    for shard in shards:
        if Path(shard.name).name != shard.name:
            raise ValueError(f"shard {shard.name!r} lies outside the folder")
    return SplitCard(shards, tuple(values["class_counts"]))
