"""Duplicates: found whatever the format, whoever builds; nothing else is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from alexnet.pipeline.build.build import build
from alexnet.pipeline.build.duplicates import (
    Digests,
    Duplicates,
    Photo,
    count_duplicates,
    find_duplicates,
)
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.records.image import pixel_digest
from alexnet.pipeline.records.manifest import Manifest
from alexnet.pipeline.source.scan import scan
from tests.conftest import SIDE, smooth_photo
from tests.pipeline.build.test_build import interrupted

CONFIG = BuildConfig(side=SIDE, shards=4)
NUM_OTHERS = 20
QUARTER_TURN = 6  # EXIF: to be turned clockwise


@pytest.fixture(scope="module")
def repeating(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 photos, and beside them a triple and two pairs, of the stored side."""
    folder = tmp_path_factory.mktemp("repeating")
    for number in range(NUM_OTHERS):
        name = f"{('cat', 'dog')[number % 2]}.{number}.jpg"
        smooth_photo(number, 20 + number, 30).save(folder / name, quality=95)
    triple, pair, labelled = (smooth_photo(50 + i, SIDE, SIDE) for i in range(3))
    triple.save(folder / "cat.31.png")
    triple.save(folder / "cat.31.bmp")
    exif = Image.Exif()
    exif[0x0112] = QUARTER_TURN
    turned = triple.transpose(Image.Transpose.ROTATE_90)
    turned.save(folder / "cat.31.tif", exif=exif)
    pair.save(folder / "dog.32.png")
    pair.save(folder / "dog.32.webp", lossless=True)
    labelled.save(folder / "cat.30.png")
    labelled.save(folder / "dog.30.png")
    return folder


GROUPS = [
    ["cat.30.png", "dog.30.png"],
    ["cat.31.bmp", "cat.31.png", "cat.31.tif"],
    ["dog.32.png", "dog.32.webp"],
]


def lines(folder: Path) -> list[dict[str, list[str]]]:
    text = (folder / "duplicates.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def split_of(folder: Path, key: str) -> str:
    """The split whose shards hold a record of `key`."""
    (split,) = {
        shard.name.partition("-")[0]
        for shard in folder.glob("*.tfrecord")
        if key.encode() in shard.read_bytes()
    }
    return split


@pytest.mark.parametrize("storage", get_args(StorageName))
def test_copies_in_other_formats_are_found(
    storage: StorageName, repeating: Path, tmp_path: Path
) -> None:
    config = BuildConfig(storage=storage, side=SIDE)
    report = build(scan(repeating), tmp_path, config, workers=1)
    found = lines(tmp_path)
    assert [group["keys"] for group in found] == GROUPS
    for group in found:
        assert group["class_names"] == [key.partition(".")[0] for key in group["keys"]]
        assert group["splits"] == [split_of(tmp_path, key) for key in group["keys"]]
    manifest = report.manifest
    assert manifest.duplicates == 4
    assert manifest.duplicates_across_splits == sum(
        len(set(group["splits"])) > 1 for group in found
    )
    assert manifest.duplicates_with_other_label == 1


@pytest.mark.parametrize("fraction", [0, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_a_group_in_two_splits_has_leaked(
    seed: int, fraction: float, repeating: Path, tmp_path: Path
) -> None:
    config = BuildConfig(side=SIDE, seed=seed, validation_fraction=fraction)
    report = build(scan(repeating), tmp_path, config, workers=1).to_json()
    places = [{split_of(tmp_path, key) for key in group} for group in GROUPS]
    leaked = sum(len(splits) == 2 for splits in places)
    assert report["duplicates_across_splits"] == leaked
    assert report["duplicates_with_other_label"] == 1


@pytest.fixture(scope="module")
def whole(
    repeating: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[bytes, Manifest]:
    """What one undisturbed process finds in `repeating`."""
    out = tmp_path_factory.mktemp("records")
    manifest = build(scan(repeating), out, CONFIG, workers=1).manifest
    return (out / "duplicates.jsonl").read_bytes(), manifest


def test_three_workers_find_the_same(
    repeating: Path, tmp_path: Path, whole: tuple[bytes, Manifest]
) -> None:
    manifest = build(scan(repeating), tmp_path, CONFIG, workers=3).manifest
    assert ((tmp_path / "duplicates.jsonl").read_bytes(), manifest) == whole
    assert whole[0].count(b"\n") == len(GROUPS)


@pytest.mark.parametrize("images", [3, 9, 16, 26])
def test_a_resumed_build_finds_the_same(
    images: int, repeating: Path, tmp_path: Path, whole: tuple[bytes, Manifest]
) -> None:
    source = scan(repeating)
    interrupted(source, tmp_path, images, CONFIG)
    assert not (tmp_path / "duplicates.jsonl").exists()
    report = build(source, tmp_path, CONFIG, workers=1)
    assert report.encoded < len(source.files) or images == 3
    assert ((tmp_path / "duplicates.jsonl").read_bytes(), report.manifest) == whole


def test_photos_set_aside_shift_no_other(repeating: Path, tmp_path: Path) -> None:
    """Digests stand in the order of the records, keys in that of the plan."""
    source = scan(repeating)
    broken = [repeating / f"cat.{number}.jpg" for number in range(0, NUM_OTHERS, 2)]
    before = [path.read_bytes() for path in broken]
    try:
        for path in broken:
            path.write_text("no photo")
        build(source, tmp_path, CONFIG, workers=1, max_bad=1)
    finally:
        for path, data in zip(broken, before, strict=True):
            path.write_bytes(data)
    assert [group["keys"] for group in lines(tmp_path)] == GROUPS


def test_no_duplicates_are_an_empty_file(record_sets: dict[str, Path]) -> None:
    for folder in record_sets.values():
        assert (folder / "duplicates.jsonl").read_bytes() == b""


def test_overwriting_removes_the_list(repeating: Path, tmp_path: Path) -> None:
    source = scan(repeating)
    build(source, tmp_path, CONFIG, workers=1)
    interrupted(source, tmp_path, 0, CONFIG, overwrite=True)
    assert not (tmp_path / "duplicates.jsonl").exists()


@pytest.mark.parametrize("storage", get_args(StorageName))
@pytest.mark.parametrize("place", [(0, 0), (SIDE - 1, SIDE - 1), (3, 9)])
def test_a_pixel_one_level_apart_is_no_duplicate(
    place: tuple[int, int], storage: StorageName, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, levels in (("a", (10, 20, 30)), ("b", (10, 20, 31)), ("c", (10, 20, 30))):
        picture = smooth_photo(1, SIDE, SIDE)
        picture.putpixel(place, levels)
        picture.save(photos / f"cat.{ord(name)}.png")
    config = BuildConfig(storage=storage, side=SIDE)
    build(scan(photos), tmp_path / "records", config, workers=1)
    found = [group["keys"] for group in lines(tmp_path / "records")]
    assert found == [["cat.97.png", "cat.99.png"]]


def test_originals_of_another_shape_are_no_duplicates(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for width in (8, 16, 32):
        Image.new("RGB", (width, 256 // width), "red").save(photos / f"cat.{width}.png")
    config = BuildConfig(storage="original", side=SIDE)
    manifest = build(scan(photos), tmp_path / "records", config, workers=1).manifest
    assert manifest.duplicates == 0


def test_digests_tell_apart_what_differs_anywhere() -> None:
    generator = np.random.default_rng(1)
    pixels = generator.integers(0, 256, SIDE * SIDE * 3, dtype=np.uint8)
    digests = {pixel_digest(pixels.tobytes(), SIDE)}
    for place in range(pixels.size):
        pixels[place] ^= 1
        digests.add(pixel_digest(pixels.tobytes(), SIDE))
        pixels[place] ^= 1
    assert len(digests) == pixels.size + 1
    assert {len(digest) for digest in digests} == {8}
    assert pixel_digest(pixels.tobytes(), SIDE) in digests


@pytest.mark.parametrize("size", [3, 15, 16, 17, 31, 300])
def test_every_byte_of_any_number_counts(size: int) -> None:
    zeros = bytes(size)
    changed = [zeros[:i] + b"\1" + zeros[i + 1 :] for i in range(size)]
    digests = {pixel_digest(pixels, 1) for pixels in (zeros, *changed)}
    assert len(digests) == size + 1


def test_groups_are_those_of_a_dictionary() -> None:
    """Random digests, many of them equal, against gathering keys by digest."""
    generator = np.random.default_rng(2)
    numbers = generator.integers(0, 2**64, 60, dtype=np.uint64)
    drawn = generator.choice(numbers, 100)
    splits = generator.choice(["train", "validation"], 100).tolist()
    photos = [
        Photo(f"{key:03}.jpg", split, f"class {key % 3}")
        for key, split in zip(generator.permutation(100), splits, strict=True)
    ]
    expected: dict[int, list[Photo]] = {}
    for number, photo in zip(drawn, photos, strict=True):
        expected.setdefault(int(number), []).append(photo)
    groups = [sorted(group) for group in expected.values() if len(group) > 1]
    digests = Digests()
    for part in (drawn[:7], drawn[7:7], drawn[7:]):
        digests.add(part.tobytes())
    found = find_duplicates(digests, iter(photos))
    assert found == tuple(
        Duplicates(*(tuple(one[field] for one in group) for field in range(3)))
        for group in sorted(groups)
    )
    counts = count_duplicates(found)
    assert counts["duplicates"] == 100 - len(expected)
    both = [len({photo.split for photo in group}) == 2 for group in groups]
    assert counts["duplicates_across_splits"] == sum(both) > 0
    kinds = [len({photo.class_name for photo in group}) for group in groups]
    assert counts["duplicates_with_other_label"] == sum(kind > 1 for kind in kinds)
