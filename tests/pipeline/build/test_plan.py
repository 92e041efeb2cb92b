"""Splits against scikit-learn, shards against what they must add up to."""

from __future__ import annotations

import random
from collections import Counter
from hashlib import sha256
from typing import Any

import pytest
from sklearn.model_selection import train_test_split

from alexnet.pipeline.build.plan import (
    JPEG_BYTES_PER_PIXEL,
    BuildPlan,
    jpeg_bytes_per_pixel,
    make_plan,
)
from alexnet.pipeline.build.split_files import validation_counts
from alexnet.pipeline.config import BuildConfig, Split
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.fixed_layout import Layout, plan_layout
from alexnet.pipeline.source.scan import ImageFile


def image_files(*class_counts: int) -> list[ImageFile]:
    return [
        ImageFile(f"{label}/{number}.jpg", label, 1000)
        for label, count in enumerate(class_counts)
        for number in range(count)
    ]


def planned(*class_counts: int, **settings: Any) -> BuildPlan:
    names = [str(label) for label in range(len(class_counts))]
    return make_plan(image_files(*class_counts), names, BuildConfig(**settings))


def held(plan: BuildPlan, split: str) -> Counter[int]:
    return Counter(
        file.label
        for shard in plan.shards
        if shard.split == split
        for file in shard.files
    )


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.15, 0.2, 0.25, 1 / 3, 0.7, 0.9])
@pytest.mark.parametrize("total", [10, 12, 31, 99, 100, 300, 1001])
def test_the_total_is_scikit_learns(total: int, fraction: float) -> None:
    _, out = train_test_split(range(total), test_size=fraction)
    for counts in ([total], [total // 2, total - total // 2], [total - 2, 1, 1]):
        held_out = validation_counts(counts, fraction, seed=total)
        spare = sum(count for count in counts if count > 1)
        assert sum(held_out) == min(len(out), spare)
        for count, of_class in zip(held_out, counts, strict=True):
            if of_class == 1:
                assert count == 0  # a class's only photo trains
            elif 1 not in counts:
                # Largest remainder never strays a whole example from the exact share.
                assert abs(count - of_class * len(out) / total) < 1


@pytest.mark.parametrize(
    ("counts", "fraction", "expected"),
    [
        ([12_500, 12_500], 0.25, [3125, 3125]),
        # Shares of ceil(0.2 * 21) = 5: 2.38, 1.43, 1.19; the one left goes to 1.43.
        ([10, 6, 5], 0.2, [2, 2, 1]),
        ([9, 1], 0.1, [1, 0]),
        ([1], 0.25, [0]),
        ([1], 1, [1]),
        ([1, 1, 2], 0.5, [0, 0, 2]),  # rather that than less than half
        ([1, 3, 3], 0.5, [0, 2, 2]),
        ([3, 4], 0, [0, 0]),
        ([3, 4], 1, [3, 4]),
        ([0, 0], 0.25, [0, 0]),  # the source gives `test` alone
    ],
)
def test_the_classes_share_by_largest_remainder(
    counts: list[int], fraction: float, expected: list[int]
) -> None:
    assert validation_counts(counts, fraction, seed=21) == expected


def test_equal_remainders_are_given_out_by_the_seed() -> None:
    """Of 10 000 classes of two photos each half is held out, not the alphabet's first.

    What a fair coin gives: 5 000 heads in all, and 2 500 (standard deviation 35 without
    replacement) among the first 5 000.
    """
    counts = validation_counts([2] * 10_000, 0.25, seed=21)
    assert sum(counts) == 5_000 == counts.count(1)
    assert abs(sum(counts[:5_000]) - 2_500) < 6 * 35
    assert counts != validation_counts([2] * 10_000, 0.25, seed=22)
    assert sorted(validation_counts([150, 150], 0.25, seed=1)) == [37, 38]


def test_singles_train_and_the_others_fill_up_the_total() -> None:
    """Ten classes of one photo and ten of four: ceil(0.25 * 50) = 13 of the fours."""
    counts = validation_counts([1] * 10 + [4] * 10, 0.25, seed=21)
    assert counts[:10] == [0] * 10
    assert sorted(counts[10:]) == [1] * 7 + [2] * 3


def with_splits(*splits: str | None, each: int = 8) -> list[ImageFile]:
    return [
        ImageFile(f"{split}/{label}/{number}.jpg", label, 1000, split)  # type: ignore[arg-type]
        for split in splits
        for label in range(2)
        for number in range(each)
    ]


def test_given_splits_are_kept() -> None:
    files = with_splits("train", "validation", "test")
    plan = make_plan(files, "ab", BuildConfig())
    assert plan.splits == ("train", "validation", "test")
    planned = {f.key: shard.split for shard in plan.shards for f in shard.files}
    assert planned == {file.key: file.split for file in files}
    names = {shard.name for shard in plan.shards}
    assert "test-00000-of-00001.tfrecord" in names


@pytest.mark.parametrize("others", [("test",), ()])
def test_validation_is_drawn_from_a_given_train_split_alone(others: Any) -> None:
    plan = make_plan(with_splits("train", *others), "ab", BuildConfig())
    assert held(plan, "validation") == {0: 2, 1: 2}
    assert held(plan, "train") == {0: 6, 1: 6}
    assert held(plan, "test") == ({0: 8, 1: 8} if others else {})
    drawn = [f for s in plan.shards if s.split == "validation" for f in s.files]
    assert {file.split for file in drawn} == {"train"}


def test_the_article_has_its_split() -> None:
    plan = planned(12_500, 12_500)
    assert held(plan, "train") == {0: 9375, 1: 9375}
    assert held(plan, "validation") == {0: 3125, 1: 3125}


@pytest.mark.parametrize("counts", [(150, 150), (40, 1), (1,), (7, 5, 3)])
@pytest.mark.parametrize("fraction", [0, 0.25, 1])
@pytest.mark.parametrize("shards", [None, 1])
def test_every_file_is_planned_once(
    counts: tuple[int, ...], fraction: float, shards: int | None
) -> None:
    plan = planned(*counts, validation_fraction=fraction, shards=shards)
    files = [file for shard in plan.shards for file in shard.files]
    assert sorted(files) == sorted(image_files(*counts))
    assert plan.num_files == sum(counts)
    assert all(shard.files for shard in plan.shards)
    expected = dict(enumerate(validation_counts(counts, fraction, seed=21)))
    assert held(plan, "validation") == Counter(expected)


def test_the_plan_does_not_depend_on_the_order_of_the_files() -> None:
    files = image_files(30, 20)
    shuffled = random.Random(0).sample(files, len(files))
    config = BuildConfig(shards=3)
    assert make_plan(shuffled, "ab", config) == make_plan(files, "ab", config)


def test_the_seed_decides_the_order_and_classes_are_mixed() -> None:
    plans = [planned(40, 40, seed=seed, shards=4) for seed in (1, 1, 2)]
    assert plans[0] == plans[1]
    assert plans[0] != plans[2]
    for shard in plans[0].shards:
        labels = [file.label for file in shard.files]
        assert labels != sorted(labels)


@pytest.mark.parametrize(
    ("settings", "train", "validation"),
    [
        ({"shards": 4}, 4, 1),
        ({"shards": 8}, 8, 3),
        ({"shards": 75}, 75, 25),
        ({"shards": 4, "validation_fraction": 0}, 4, 0),
        ({"shards": 4, "validation_fraction": 1}, 0, 4),
        ({}, 1, 1),
    ],
)
def test_shards_are_numbered_and_even(
    settings: dict[str, Any], train: int, validation: int
) -> None:
    plan = planned(50, 50, **settings)
    assert [shard.name for shard in plan.shards] == [
        f"{split}-{index:05d}-of-{count:05d}.tfrecord"
        for split, count in (("train", train), ("validation", validation))
        for index in range(count)
    ]
    for split in ("train", "validation"):
        sizes = {len(shard.files) for shard in plan.shards if shard.split == split}
        assert not sizes or max(sizes) - min(sizes) <= 1


def test_shards_are_no_larger_than_asked() -> None:
    plan = planned(
        60, 60, storage="raw", side=32, shard_size_bytes=40_000, validation_fraction=0
    )
    largest = max(len(shard.files) for shard in plan.shards)
    assert largest * 32 * 32 * 3 <= 40_000
    assert len(plan.shards) == -(-plan.estimated_bytes // 40_000)


def test_more_shards_than_examples_are_refused() -> None:
    with pytest.raises(DataError, match="`shards=16`, but train has only 15 examples"):
        planned(10, 10, shards=16)


def test_room_is_estimated_from_what_is_stored() -> None:
    original = planned(50, storage="original").estimated_bytes
    assert 50 * 1000 <= original <= 50 * 2000
    # Pixels of 3 and of 1.5 pages, and names: whole pages.
    raw = planned(50, storage="raw", side=64)
    assert raw.estimated_bytes == 50 * 4 * 4096
    planes = planned(50, storage="yuv420", side=64)
    assert planes.estimated_bytes == 50 * 2 * 4096


def test_the_layout_has_room_for_the_longest_names() -> None:
    """A key and the name of its class count together, in bytes of UTF-8."""
    config = BuildConfig(storage="raw", side=64)

    def layout(key: str, class_name: str) -> Layout | None:
        files = [ImageFile(key, 0, 1), ImageFile("a", 1, 1)]
        return make_plan(files, (class_name, "b"), config).layout

    layouts = [plan_layout(config, length) for length in range(9000)]
    # The most bytes that fit into the pages that 2000 need.
    length = max(i for i, found in enumerate(layouts) if found == layouts[2000])
    fits, too_long = layouts[length : length + 2]
    for key, class_name in (
        ("k" * (length - 1), "c"),
        ("k", "c" * (length - 1)),
        ("k" * 500, "c" * (length - 500)),
        ("ж" * 500, "c" * (length - 1000)),
    ):
        assert layout(key, class_name) == fits
        assert layout(key + "k", class_name) == too_long
    assert make_plan([ImageFile("a", 0, 1)], "a", BuildConfig()).layout is None


def test_jpeg_estimates_rise_between_the_measured_qualities() -> None:
    rates = [jpeg_bytes_per_pixel(quality) for quality in range(1, 101)]
    assert rates == sorted(rates)
    for quality, rate in JPEG_BYTES_PER_PIXEL.items():
        assert rates[quality - 1] == rate


SPLIT_NAMES: tuple[Split, ...] = ("train", "validation", "test")


@pytest.mark.parametrize("given", [(None,), ("train", "test"), SPLIT_NAMES])
def test_the_order_is_that_of_a_sorted_list(given: tuple[Split | None, ...]) -> None:
    """Files by their hashes, cut into splits and shards: computed with lists."""
    config = BuildConfig(seed=3, shards=4, validation_fraction=0.3)
    files = [
        ImageFile(f"{n % 5}/\N{DOG FACE}\udcff{n}.jpg", n % 5, n, given[n % len(given)])
        for n in range(2500)
    ]
    expected: dict[str, list[ImageFile]] = {split: [] for split in SPLIT_NAMES}
    for file in sorted(
        files,
        key=lambda file: sha256(
            f"3:{file.key}".encode(errors="surrogateescape")
        ).digest(),
    ):
        expected[file.split or "train"].append(file)
    if not expected["validation"]:
        sizes = Counter(file.label for file in expected["train"])
        left = validation_counts([sizes[label] for label in range(5)], 0.3, seed=3)
        for file in [*expected["train"]]:
            if left[file.label]:
                expected["train"].remove(file)
                expected["validation"].append(file)
                left[file.label] -= 1
    plan = make_plan(files, "abcde", config)
    for split, in_order in expected.items():
        assert plan.files[split] == in_order
        shards = [shard for shard in plan.shards if shard.split == split]
        assert [file for shard in shards for file in shard.files] == in_order
        cuts = [len(in_order) * n // max(1, len(shards)) for n in range(len(shards))]
        assert [shard.files[0] for shard in shards] == [in_order[n] for n in cuts]
