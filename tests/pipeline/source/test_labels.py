"""Folders as people have them: which classes, which splits, what is left out."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.pictures import save_figure
from alexnet.pipeline.source.classes import sorted_classes
from alexnet.pipeline.source.image_tree import label_in_name
from alexnet.pipeline.source.scan import Source, scan
from alexnet.pipeline.source.split_names import split_named
from alexnet.pipeline.source.stores import FolderStore
from tests.pipeline.source.test_scan import JPEG, images, labelled
from tests.pipeline.source.test_stores import (
    PACKS,
    Pack,
    as_folder,
    as_zip,
    listed,
    write_files,
)

N = 6


def many(*patterns: str) -> dict[str, bytes]:
    """Images 0 to 5 of every pattern."""
    return images(*(pattern.format(i) for pattern in patterns for i in range(N)))


def counted(source: Source) -> dict[str, int]:
    """How many images of each class there are, split/class where splits are given."""
    names = source.class_names
    found = (f"{f.split}/{names[f.label]}" for f in source.files)
    return {name.removeprefix("None/"): count for name, count in Counter(found).items()}


KAGGLE = {
    **many("train/cat.{}.jpg", "train/dog.{}.jpg", "test1/{}.jpg"),
    "sampleSubmission.csv": b"id,label\n1,0\n",
}
MICROSOFT = {
    **many("PetImages/Cat/{}.jpg", "PetImages/Dog/{}.jpg"),
    "PetImages/Cat/Thumbs.db": b"\xd0\xcf\x11\xe0",
    "readme[1].txt": b"read me\n",
}


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (KAGGLE, {"train/cat": N, "train/dog": N}),
        (MICROSOFT, {"Cat": N, "Dog": N}),
        (many("a/a/cats/{}.jpg", "a/a/dogs/{}.jpg"), {"cats": N, "dogs": N}),
        (many("set/train/cat.{}.jpg", "set/train/dog.{}.jpg"), {"cat": N, "dog": N}),
        (
            many(
                *(
                    "training_set/training_set/cats/cat.{}.jpg",
                    "test_set/t/cats/{}.jpg",
                ),
                *(
                    "training_set/training_set/dogs/dog.{}.jpg",
                    "test_set/t/dogs/{}.jpg",
                ),
            ),
            {"train/cats": N, "train/dogs": N, "test/cats": N, "test/dogs": N},
        ),
        (
            many(
                *(f"{s}/{c}/{{}}.jpg" for s in ("train", "val", "test") for c in "ab")
            ),
            {f"{s}/{c}": N for s in ("train", "validation", "test") for c in "ab"},
        ),
        (  # splits inside of classes
            many(*(f"{c}/{s}/{{}}.jpg" for s in ("train", "test") for c in "ab")),
            {f"{s}/{c}": N for s in ("train", "test") for c in "ab"},
        ),
        # A train is a vehicle, and a class may hold folders.
        (many("car/{}.jpg", "train/{}.jpg"), {"car": N, "train": N}),
        (many("car/{}.jpg", "train/car.{}.jpg"), {"car": N, "train": N}),
        (many("car/a/{}.jpg", "car/b/{}.jpg", "bus/{}.jpg"), {"bus": N, "car": 2 * N}),
        (many("st.bernard.{}.jpg", "cat.{}.jpg"), {"cat": N, "st.bernard": N}),
        (many("cat.{}", "dog.{}"), {"cat": N, "dog": N}),
    ],
)
def test_layouts(
    tmp_path: Path, pack: Pack, files: dict[str, bytes], expected: dict[str, int]
) -> None:
    folder = write_files(tmp_path / "photos", files)
    source = scan(pack(folder, tmp_path / "packed", ""))
    assert counted(source) == expected
    assert source.set_aside == ()


@pytest.mark.parametrize("pack", [as_folder, as_zip])
@pytest.mark.parametrize(
    ("files", "unlabelled"),
    [
        (KAGGLE, (("test1/", N),)),
        (
            many("train/a/{}.jpg", "train/b/{}.jpg", "test/unknown/{}.jpg"),
            (("test/unknown/", N),),
        ),
        (
            many(
                *("seg_train/seg_train/a/{}.jpg", "seg_train/seg_train/b/{}.jpg"),
                *("seg_test/seg_test/a/{}.jpg", "seg_test/seg_test/b/{}.jpg"),
                "seg_pred/seg_pred/{}.jpg",
            ),
            (("seg_pred/seg_pred/", N),),
        ),
        (
            {
                **many("train/{}.jpg", "test/{}.jpg"),
                "labels.csv": b"filename,label\n0,a\n1,b\n2,a\n3,b\n4,a\n5,b\n",
            },
            (("test/", N),),
        ),
        (
            {
                **many("all/{}.jpg"),
                "labels.csv": b"filename,label,split\nall/0.jpg,a,train\n"
                b"all/1.jpg,,test\n",
            },
            (("all/", 1),),
        ),
    ],
)
def test_images_without_labels_are_named_and_left_out(
    tmp_path: Path, pack: Pack, files: dict[str, bytes], unlabelled: object
) -> None:
    folder = write_files(tmp_path / "photos", files)
    source = scan(pack(folder, tmp_path / "packed", ""))
    assert source.unlabelled == unlabelled
    assert not any(file.split == "test" and "pred" in file.key for file in source.files)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            many("A/cats/{}.jpg", "A/dogs/{}.jpg", "B/cats/{}.jpg", "B/dogs/{}.jpg"),
            "every one of A, B holds the folders cats, dogs.*one level deeper.*such as"
            " A/.*`labels='folder'` if A, B are",
        ),
        (
            many("train/a/{}.jpg", "train/b/{}.jpg", "more/a/{}.jpg", "more/b/{}.jpg"),
            "train is named as a split.*beside it lies more. Give train/",
        ),
        (many("test1/{}.jpg"), "test1 is named as splits are.*such as test1/0.jpg"),
        (many("IMG_{}.jpg"), "6 images, and none has a label, such as 'IMG_0.jpg'"),
        (
            {"train.zip": b"PK", "test1.zip": b"PK", "sampleSubmission.csv": b"id\n"},
            "no images in .* but archives: test1.zip, train.zip.*such as train.zip",
        ),
        (
            {**many("images/{}.jpg"), "labels.csv": b"id,breed\n1,pug\n"},
            "one class, 'images'. labels.csv beside them is no label table: it has the"
            " columns id, breed and lacks filename and label. Name the column",
        ),
        (
            {**many("images/{}.jpg", "more/{}.jpg"), "data/labels.csv": b"id,breed\n"},
            "",
        ),
    ],
)
def test_what_is_not_clear_is_told(
    tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    write_files(tmp_path, files)
    if message:
        with pytest.raises(DataError, match=message):
            scan(tmp_path)
    else:
        assert scan(tmp_path).class_names == ("images", "more")


def test_the_user_may_say_that_the_top_folders_are_classes(tmp_path: Path) -> None:
    write_files(tmp_path, many(*(f"{a}/{b}/{{}}.jpg" for a in "AB" for b in "cd")))
    assert counted(scan(tmp_path, "folder")) == {"A": 2 * N, "B": 2 * N}


@pytest.mark.parametrize(
    ("files", "key", "reason"),
    [
        (many("cat/{}.jpg", "dog/{}.jpg"), "odd.jpg", "it lies in no class folder"),
        (many("cat.{}.jpg", "dog.{}.jpg"), "IMG.jpg", "its name carries no label"),
        (many("cat.{}.jpg", "dog.{}.jpg"), "more/1.jpg", "its name carries no label"),
        (
            many("train/a/{}.jpg", "train/b/{}.jpg", "test/a/{}.jpg", "test/b/{}.jpg"),
            "odd.jpg",
            "it lies beside the folders of the splits",
        ),
    ],
)
def test_a_stray_image_is_set_aside(
    tmp_path: Path, files: dict[str, bytes], key: str, reason: str
) -> None:
    source = scan(write_files(tmp_path, {**files, **images(key)}))
    assert [(one.key, one.bytes) for one in source.set_aside] == [(key, len(JPEG))]
    assert source.set_aside[0].reason.startswith(reason)
    assert set(labelled(source)) == set(files)


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("train/cat.9194.jpg", "cat"),
        ("st.bernard.1.jpg", "st.bernard"),
        ("cat.163", "cat"),
        ("golden retriever.7.JPEG", "golden retriever"),
        ("cat.jpg", None),
        ("cat.x.jpg", None),
        ("9194.jpg", None),
        (".1.jpg", None),
        ("IMG_0001.jpg", None),
    ],
)
def test_the_label_in_a_name(key: str, label: str | None) -> None:
    assert label_in_name(key) == label


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
    assert {split_named(name) for name in names.split()} == {split}
    assert (split_named("Test Images"), split_named("")) == ("test", None)


def test_there_is_one_order_of_classes() -> None:
    """Numbers by their value, ties by the text; other names by the text."""
    assert sorted_classes({"2", "1", "01", "10"}) == ("01", "1", "2", "10")
    assert sorted_classes({"10.0", "9.0", "-1"}) == ("-1", "9.0", "10.0")
    assert sorted_classes({"b", "10", "9"}) == ("10", "9", "b")


def test_classes_that_look_alike_are_kept_with_a_warning(tmp_path: Path) -> None:
    cafe = ("caf\u00e9", "cafe\u0301")  # composed and decomposed
    source = scan(
        write_files(
            tmp_path, many("Cat/{}.jpg", "cat/{}.jpg", *(f"{c}/{{}}.jpg" for c in cafe))
        )
    )
    assert set(source.class_names) == {"Cat", "cat", *cafe}
    (warning,) = source.warnings
    assert "'Cat' and 'cat'" in warning
    assert f"{cafe[1]!r} and {cafe[0]!r}" in warning


def test_a_class_without_training_images_is_warned_of(tmp_path: Path) -> None:
    keys = ("train/a/{}.jpg", "train/b/{}.jpg", "val/a/{}.jpg", "val/c/{}.jpg")
    (warning,) = scan(write_files(tmp_path, many(*keys))).warnings
    assert warning == "classes without an image to train on: c"


SYSTEM = (
    "@eaDir",
    "#recycle",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
)


@pytest.mark.parametrize("pack", PACKS)
def test_folders_of_the_system_are_left_out(tmp_path: Path, pack: Pack) -> None:
    keys = (f"{name}/{{}}.jpg" for name in (*SYSTEM, "cat/@eaDir", "trash"))
    files = many("cat/{}.jpg", "dog/{}.jpg", *keys)
    folder = write_files(tmp_path / "photos", files)
    source = scan(pack(folder, tmp_path / "packed", ""))
    assert counted(source) == {"cat": N, "dog": N, "trash": N}  # rubbish is a class
    left_out = {f"{name}/ (a system folder)" for name in (*SYSTEM, "cat/@eaDir")}
    assert set(source.ignored) == left_out


def test_a_system_folder_need_not_be_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, many("cat/{}.jpg", "lost+found/{}.jpg"))
    scandir = os.scandir

    def refuse(path: str) -> object:
        if "lost+found" in path:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert scan(tmp_path).class_names == ("cat",)


@pytest.mark.parametrize("pack", [as_folder, as_zip])
def test_what_the_project_made_is_no_class(tmp_path: Path, pack: Pack) -> None:
    run = "runs/2026-11-28-101112"
    own = {
        f"{run}/config.json": b"{}",
        f"{run}/curves.png": b"\x89PNG",
        f"{run}/checkpoints/last/checkpoint": b"",
        "records/dataset.json": b"{}",
        "records/train-00000-of-00001.tfrecord": b"",
        "records/sheet.png": b"\x89PNG",
    }
    folder = write_files(
        tmp_path / "photos", {**many("cat/{}.jpg", "dog/{}.jpg"), **own}
    )
    source = scan(pack(folder, tmp_path / "packed", ""))
    assert counted(source) == {"cat": N, "dog": N}
    assert source.ignored == ("records/ (a record set)", f"{run}/ (a training run)")


def test_a_picture_that_the_project_drew_is_no_photo(tmp_path: Path) -> None:
    write_files(tmp_path, {**many("cat/{}.jpg", "dog/{}.jpg"), **images("odd.png")})
    save_figure(Figure(), tmp_path / "sheet.png")
    source = scan(tmp_path)
    assert source.ignored == ("sheet.png (a picture drawn by alexnet)",)
    assert [one.key for one in source.set_aside] == ["odd.png"]


def test_a_file_system_without_inode_numbers_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, {"a/b/1.jpg": b"x", "c/2.jpg": b"y"})
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    stat = Path.stat

    def zeroed(path: Path) -> os.stat_result:
        return os.stat_result([0 if i == 1 else v for i, v in enumerate(stat(path))])

    monkeypatch.setattr(Path, "stat", zeroed)
    keys = [entry.key for entry in listed(FolderStore(tmp_path)).files]
    assert keys == ["a/b/1.jpg", "c/2.jpg"]
