"""What is told of a record set, against counts made by hand."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.inspect.info import RecordsInfo, records_info
from alexnet.pipeline.records.manifest import SourceSizes, SplitCard
from alexnet.pipeline.source.scan import scan
from tests.conftest import NUM_PHOTOS, SIDE, picture_size


def with_counts(info: RecordsInfo, *counts: tuple[int, int]) -> RecordsInfo:
    """As `info`, with so many cats and dogs a split."""
    names = ("train", "validation")
    splits = {k: SplitCard((), v) for k, v in zip(names, counts, strict=True)}
    return dataclasses.replace(
        info, manifest=dataclasses.replace(info.manifest, splits=splits)
    )


def test_sizes_are_those_of_the_shard_files(record_sets: dict[str, Path]) -> None:
    folder = record_sets["jpeg"]
    sizes = [path.stat().st_size for path in folder.glob("*.tfrecord")]
    found = records_info(folder).bytes_per_image
    assert found is not None
    assert found.mean == pytest.approx(sum(sizes) / NUM_PHOTOS)
    # 6 images in each of four shards.
    assert found.min == pytest.approx(min(sizes) / 6)
    assert found.max == pytest.approx(max(sizes) / 6)


def test_source_sizes_are_those_of_the_photos(
    photos: Path, record_sets: dict[str, Path]
) -> None:
    sides = [min(picture_size(path)) for path in photos.rglob("*.jpg")]
    for folder in record_sets.values():
        found = records_info(folder).manifest.source_sizes
        assert found == SourceSizes(
            smallest=min(sides),
            median=int(np.quantile(sides, 0.5, method="lower")),
            largest=max(sides),
            num_smaller=0,
        )


@pytest.mark.parametrize("storage", ["jpeg", "original"])
def test_sizes_are_from_before_a_photo_is_decoded_small(
    storage: str, tmp_path: Path
) -> None:
    for number, size in enumerate([(400, 300), (15, 200), (16, 16), (900, 640)]):
        Image.new("RGB", size).save(tmp_path / f"cat.{number}.jpg")
    config = BuildConfig.from_json({"storage": storage, "side": SIDE})
    report = build(scan(tmp_path), tmp_path / "records", config, workers=1)
    assert report.manifest.source_sizes == SourceSizes(15, 16, 640, num_smaller=1)


def test_a_set_of_bad_photos_alone_has_no_sizes(tmp_path: Path) -> None:
    (tmp_path / "cat.1.jpg").touch()
    config = BuildConfig(side=SIDE)
    build(scan(tmp_path), tmp_path / "records", config, workers=1)
    found = records_info(tmp_path / "records")
    assert found.manifest.source_sizes is None
    assert found.bytes_per_image is None
    assert found.class_shares("train") == [0]
    assert found.quarantine_reasons == {"empty file": 1}


def test_shares_are_of_a_split(record_sets: dict[str, Path]) -> None:
    info = with_counts(records_info(record_sets["raw"]), (3, 9), (0, 0))
    assert info.class_shares("train") == [0.25, 0.75]
    assert info.class_shares("validation") == [0, 0]


@pytest.mark.parametrize(
    ("train", "validation", "uneven"),
    [
        ((3, 9), (0, 0), False),
        ((3, 10), (0, 0), True),
        ((3, 10), (1, 0), False),
        ((12, 1), (3, 2), True),
        ((4, 0), (1, 0), True),
    ],
)
def test_a_class_more_than_three_times_another_is_noted(
    train: tuple[int, int],
    validation: tuple[int, int],
    uneven: bool,
    record_sets: dict[str, Path],
) -> None:
    note = with_counts(records_info(record_sets["raw"]), train, validation).imbalance
    assert bool(note) == uneven
    if note:
        cats, dogs = train[0] + validation[0], train[1] + validation[1]
        more, less = ("cat", "dog") if cats > dogs else ("dog", "cat")
        assert f"class {more!r} has {max(cats, dogs)} images" in note
        assert f"{less!r} {min(cats, dogs)}:" in note


def test_reasons_are_counted_without_their_details(
    record_sets: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "records"
    shutil.copytree(record_sets["jpeg"], folder)
    reasons = [
        *[f"not an image of a known format (it begins with {n})" for n in range(4)],
        *["empty file"] * 6,
        *[f"reason {n}" for n in range(5) for _ in range(3 if n < 3 else 1)],
    ]
    lines = [
        json.dumps({"key": f"{n}.jpg", "reason": reason, "bytes": 1}) + "\n"
        for n, reason in enumerate(reasons)
    ]
    (folder / "quarantine.jsonl").write_text("".join(lines))
    found = records_info(folder).quarantine_reasons
    assert list(found.items())[:2] == [
        ("empty file", 6),
        ("not an image of a known format", 4),
    ]
    assert found == {**found, "reason 0": 3, "reason 1": 3, "reason 2": 3}
    assert len(found) == 5
    (folder / "quarantine.jsonl").unlink()
    assert records_info(folder).quarantine_reasons == {}


def test_the_reader_is_the_one_that_would_be_chosen(
    record_sets: dict[str, Path],
) -> None:
    original = records_info(record_sets["original"]).to_json()["reader"]
    assert original["name"] == "stream"
    assert "original files" in original["reason"]


def test_the_manifests_fields_stay(record_sets: dict[str, Path]) -> None:
    for folder in record_sets.values():
        card = json.loads((folder / "dataset.json").read_text())
        found = json.loads(json.dumps(records_info(folder).to_json()))
        for split, values in card.pop("splits").items():
            assert found["splits"][split] == {**found["splits"][split], **values}
        assert found == {**found, **card}
        assert found["data"] == str(folder)
