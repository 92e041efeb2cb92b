"""The card of a record set: what is saved is what is loaded, damage is told."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median_low
from typing import Any

import pytest

from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.fixed_layout import plan_layout
from alexnet.pipeline.records.manifest import (
    Manifest,
    Shard,
    SourceSizes,
    SplitCard,
    load_manifest,
)

MANIFEST = Manifest(
    config=BuildConfig(side=64),
    class_names=("cat", "größe"),
    splits={
        "train": SplitCard(
            (
                Shard("train-00000-of-00002.tfrecord", 3, 1000, 7),
                Shard("train-00001-of-00002.tfrecord", 4, 2000, 2**32 - 1),
            ),
            (5, 2),
        ),
        "validation": SplitCard((), (0, 0)),
    },
    quarantined=1,
    source_fingerprint="abc",
)


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / "dataset.json").read_text())
    change(values)
    (folder / "dataset.json").write_text(json.dumps(values))


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    MANIFEST.save(tmp_path)
    assert load_manifest(tmp_path) == MANIFEST
    assert (tmp_path / "labels.txt").read_text(encoding="utf-8") == "cat\ngröße\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dataset.json",
        "labels.txt",
    ]


def test_a_label_is_a_line_whatever_its_name(tmp_path: Path) -> None:
    names = ("a\nb\rc\vd\x1de\u2028f", "not \udcff UTF-8")
    manifest = dataclasses.replace(MANIFEST, class_names=names)
    manifest.save(tmp_path)
    labels = (tmp_path / "labels.txt").read_bytes()
    assert labels == rb"a\nb\rc\x0bd\x1de\u2028f" + b"\nnot \xff UTF-8\n"
    assert len(labels.decode("utf-8", "replace").splitlines()) == len(names)
    assert load_manifest(tmp_path).class_names == names


@pytest.mark.parametrize(
    ("card", "num_examples", "num_bytes"),
    [
        (MANIFEST.split("train"), 7, 3000),
        # As an image source has it that is read as it is.
        (SplitCard((), (4, 0, 3)), 7, 0),
    ],
)
def test_a_card_adds_up(card: SplitCard, num_examples: int, num_bytes: int) -> None:
    assert (card.num_examples, card.num_bytes) == (num_examples, num_bytes)


# Of records as long as names of 20 bytes make them.
LAYOUT = plan_layout(BuildConfig(storage="raw", side=64), 20)
assert LAYOUT is not None
STRIDE = LAYOUT.stride_bytes
MAPPED = Manifest(
    config=BuildConfig(storage="raw", side=64),
    class_names=("cat",),
    splits={
        "train": SplitCard(
            (Shard("train-00000-of-00001.tfrecord", 3, 3 * STRIDE, 7),), (3,)
        ),
        "validation": SplitCard((), (0,)),
    },
    quarantined=0,
    source_fingerprint="abc",
    layout=LAYOUT,
)


def test_a_layout_is_saved_and_loaded(tmp_path: Path) -> None:
    assert LAYOUT is not None
    MAPPED.save(tmp_path)
    assert load_manifest(tmp_path) == MAPPED
    saved = json.loads((tmp_path / "dataset.json").read_text())
    assert saved["layout"] == dataclasses.asdict(LAYOUT)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pixel_offset", 321),
        ("pixel_offset", 2**40),
        ("pixel_offset", -64),
        ("label_offset", 0),
        ("pixel_bytes", 2**40),
        ("stride_bytes", STRIDE + 1),
        ("stride_bytes", 2 * STRIDE),
        ("stride_bytes", 0),
    ],
)
def test_a_layout_that_is_not_that_of_its_settings_is_told(
    tmp_path: Path, field: str, value: int
) -> None:
    """Readers gather pixels from where it says, whatever lies there."""
    MAPPED.save(tmp_path)
    change_manifest(tmp_path, lambda card: card["layout"].update({field: value}))
    with pytest.raises(DataError, match=r"dataset\.json is damaged .* is not that of"):
        load_manifest(tmp_path)


def test_a_layout_belongs_to_records_that_can_be_mapped(tmp_path: Path) -> None:
    for manifest, layout in ((MANIFEST, LAYOUT), (MAPPED, None)):
        dataclasses.replace(manifest, layout=layout).save(tmp_path)
        with pytest.raises(DataError, match=r"layout .* of (raw|jpeg) records"):
            load_manifest(tmp_path)


def test_what_a_build_found_out_is_saved_and_loaded(tmp_path: Path) -> None:
    found = dataclasses.replace(
        MANIFEST,
        duplicates=5,
        duplicates_across_splits=2,
        duplicates_with_other_label=1,
        source_sizes=SourceSizes(10, 20, 30, num_smaller=4),
    )
    found.save(tmp_path)
    assert load_manifest(tmp_path) == found
    saved = json.loads((tmp_path / "dataset.json").read_text())
    assert (
        saved["duplicates"],
        saved["duplicates_across_splits"],
        saved["duplicates_with_other_label"],
    ) == (5, 2, 1)


def test_source_sizes_are_counted() -> None:
    sides = Counter({300: 2, 64: 3, 63: 1, 20: 1})
    assert SourceSizes.of(sides, 64) == SourceSizes(20, 64, 300, num_smaller=2)
    assert SourceSizes.of(Counter({5: 1, 9: 1}), 5) == SourceSizes(5, 5, 9, 0)
    assert SourceSizes.of(Counter(), 64) is None


@pytest.mark.parametrize("number", [1, 2, 3, 8, 99, 100])
def test_the_median_is_that_of_the_statistics_module(number: int) -> None:
    sides = Random(number).choices(range(1, 21), k=number)
    found = SourceSizes.of(Counter(sides), 8)
    assert found and found.median == median_low(sides)
    assert found.num_smaller == sum(side < 8 for side in sides)


def test_a_fingerprint_is_of_the_bytes_and_the_source() -> None:
    shard = MANIFEST.splits["train"].shards[0]
    other = SplitCard((dataclasses.replace(shard, crc32c=8),), (3, 0))
    others = [
        dataclasses.replace(MANIFEST, class_names=("cat", "dog")),
        dataclasses.replace(MANIFEST, source_fingerprint="abd"),
        dataclasses.replace(MANIFEST, splits={**MANIFEST.splits, "train": other}),
    ]
    found = {manifest.fingerprint for manifest in (MANIFEST, *others)}
    assert len(found) == 4


@pytest.mark.parametrize("name", ["validation", "test"])
def test_a_split_that_is_empty_or_unknown_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=rf"no {name} examples \(they have: train\)"):
        MANIFEST.split(name)


def test_a_folder_that_is_no_record_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder: .*gone.*records build"):
        load_manifest(tmp_path / "gone")
    with pytest.raises(DataError, match=r"no finished record set.*records build"):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 99}, "its format is 99, this version reads"),
        ({"config": {"side": 0}}, "side is 0"),
        ({"config": {"sise": 8}}, "unknown BuildConfig settings: sise"),
        ({"config": 3}, "BuildConfig is 3, not an object"),
        ({"config": {"side": "64"}}, "side is '64'; it needs a whole number"),
        ({"splits": []}, r"splits is \[\]; it needs an object"),
        ({"splits": {}}, "not those of a build"),
        ({"splits": {"train": 3}}, "SplitCard is 3, not an object"),
        ({"class_names": None}, "class_names is None; it needs a list"),
        ({"class_names": []}, "must be there"),
        ({"class_names": ["cat", "cat"]}, "and distinct"),
        ({"class_names": ["cat", "\ud800"]}, "surrogates not allowed"),
        ({"class_names": ["cat"]}, "counts of train do not add up"),
        ({"quarantined": "1"}, "quarantined is '1'; it needs a whole number"),
        ({"layout": {"stride_bytes": 4096}}, "missing 3 required"),
        ({"layout": 3}, "Layout is 3, not an object"),
        ({"source_sizes": {"smallest": 3}}, "missing 3 required"),
    ],
)
def test_a_damaged_card_is_told(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    MANIFEST.save(tmp_path)
    change_manifest(tmp_path, lambda card: card.update(change))
    with pytest.raises(DataError) as error:
        load_manifest(tmp_path)
    said, _, next_step = str(error.value).partition(". It cannot be repaired")
    assert re.fullmatch(
        f"{tmp_path / 'dataset.json'} is damaged or of another version: .*{reason}.*",
        said,
    )
    assert "make the set in another folder (`alexnet records build" in next_step
    assert "overwrite" not in next_step  # which would refuse


@pytest.mark.parametrize(
    "name",
    [field.name for field in dataclasses.fields(Manifest)],
)
def test_a_card_that_lacks_a_field_is_told(tmp_path: Path, name: str) -> None:
    MANIFEST.save(tmp_path)
    change_manifest(tmp_path, lambda card: card.pop(name))
    with pytest.raises(DataError, match=f"of another version: '{name}'.*records build"):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        *(
            ({"name": name}, "is no name of a train shard")
            for name in (
                *("../x", "/etc/passwd", "", ".", "..", "x", "train-00000-of-00002"),
                *("a/train-00000-of-00002.tfrecord", "train-00000-of-00002.tfrecord\n"),
                "validation-00000-of-00002.tfrecord",
                "train-\0-of-00002.tfrecord",
            )
        ),
        ({"name": None}, "name is None; it needs text"),
        ({"num_examples": "3"}, "num_examples is '3'; it needs a whole number"),
        ({"num_examples": 2}, "its counts of train do not add up"),
        ({"num_examples": -1}, "less than nothing in train"),
        ({"num_bytes": -1000}, "less than nothing in train"),
        ({"num_bytes": 2**80}, "num_bytes is .*; it needs a whole number"),
        ({"crc32c": 0.5}, "crc32c is 0.5; it needs a whole number"),
        ({"path": "/etc/passwd"}, "unexpected keyword argument 'path'"),
    ],
)
def test_a_shard_that_cannot_be_is_told(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    MANIFEST.save(tmp_path)
    change_manifest(
        tmp_path, lambda card: card["splits"]["train"]["shards"][0].update(change)
    )
    with pytest.raises(DataError, match=rf"dataset\.json is damaged .*{reason}"):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "null", "\udcff", "[" * 100_000, "9" * 10_000]
)
def test_a_card_that_is_no_card(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.json").write_text(text, errors="surrogateescape")
    with pytest.raises(DataError, match=r"dataset\.json is damaged"):
        load_manifest(tmp_path)
