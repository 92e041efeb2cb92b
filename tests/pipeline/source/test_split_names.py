"""Names of splits as people write them, and names that are none."""

from __future__ import annotations

import pytest

from alexnet.pipeline.source.given_splits import split_named


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", "train Training TRAIN training_set trainset train2017 cifar-train"),
        ("train", "seg_train asl_alphabet_train train_images train.csv"),
        ("validation", "val valid validation val2017 ValidationSet my-val valid_1"),
        ("test", "test test1 Testing test_set testset seg_test test-multiple_fruits"),
        (None, "cats retrain testudo trains valley attest 2017 _ set contest images"),
    ],
)
def test_the_split_of_a_name(split: str | None, names: str) -> None:
    assert {name: split_named(name) for name in names.split()} == dict.fromkeys(
        names.split(), split
    )


def test_spaces_part_words_too() -> None:
    assert split_named("Test Images") == "test"
    assert split_named("") is None
