"""An image source read as it is against the `original` records built of it."""

from __future__ import annotations

import csv
import shutil
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, ReadConfig
from alexnet.pipeline.errors import DataError, data_error_in
from alexnet.pipeline.read.dataset import eval_dataset, train_dataset, train_stages
from alexnet.pipeline.read.image_folder import PhotoSet, open_data, open_photos
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.source.scan import scan
from tests.conftest import NUM_PHOTOS, SIDE, slow, smooth_photo

CONFIG = BuildConfig(storage="original", side=SIDE, shards=3)
Batch = tuple[np.ndarray, ...]


@pytest.fixture(scope="module")
def mixed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`photos`, and some that must be turned, flattened or scaled."""
    folder = tmp_path_factory.mktemp("mixed")
    shutil.copytree(photos, folder, dirs_exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth_photo(50, 40, 30).save(folder / "cat" / "turned.jpg", exif=exif)
    smooth_photo(51, 40, 30).convert("L").save(folder / "dog" / "grey.png")
    smooth_photo(52, 30, 40).convert("P").save(folder / "cat" / "palette.gif")
    smooth_photo(53, 300, 200).save(folder / "dog" / "large.jpg")
    return folder


@pytest.fixture(scope="module")
def records(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenedRecords:
    out = tmp_path_factory.mktemp("records")
    build(scan(mixed), out, CONFIG, workers=1)
    return open_records(out)


def keys_of(records: OpenedRecords, split: str) -> list[tuple[str, int]]:
    """The names and labels of a split's records, by protobuf."""
    found = []
    for path in records.paths(split):
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            (name,) = feature["image/filename"].bytes_list.value
            (label,) = feature["image/class/label"].int64_list.value
            found.append((name.decode(), label))
    return found


def batches(dataset: tf.data.Dataset) -> list[Batch]:
    return list(dataset.as_numpy_iterator())


def assert_same(left: list[Batch], right: list[Batch]) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_splits_are_those_of_a_build(mixed: Path, records: OpenedRecords) -> None:
    source = open_photos(mixed, CONFIG)
    assert source.manifest.class_names == records.manifest.class_names
    for split in ("train", "validation"):
        found = [(file.key, file.label) for file in source.files[split]]
        assert found == keys_of(records, split)
        card, built = source.manifest.split(split), records.manifest.split(split)
        assert card.class_counts == built.class_counts
        assert source.paths(split) == []


def test_the_pixels_are_those_of_a_build(mixed: Path, records: OpenedRecords) -> None:
    source, read = open_photos(mixed, CONFIG), ReadConfig(batch_size=5)
    for split, number in (("train", 21), ("validation", 7)):
        found = batches(eval_dataset(source, read, split))
        built = batches(eval_dataset(records, read, split))
        assert sum(batch[2].sum() for batch in found) == number
        for place, row in enumerate(keys_of(records, split)):
            one, other = (sets[place // 5] for sets in (found, built))
            assert one[1][place % 5] == other[1][place % 5] == row[1]
            difference = np.abs(one[0][place % 5].astype(int) - other[0][place % 5])
            # A record holds it turned already; turned afterwards it rounds apart.
            assert difference.max() <= (row[0] == "cat/turned.jpg")


def test_an_epoch_holds_every_photo_once(mixed: Path, records: OpenedRecords) -> None:
    source, read = open_photos(mixed, CONFIG), ReadConfig(batch_size=7)

    def rows(dataset: tf.data.Dataset) -> Counter[tuple[bytes, int]]:
        return Counter(
            (image.tobytes(), int(label))
            for images, labels, *_ in dataset.as_numpy_iterator()
            for image, label in zip(images, labels, strict=True)
        )

    expected = rows(eval_dataset(records, read, "train"))
    assert len(expected) == 21
    for epoch in range(2):
        assert rows(train_dataset(source, read, first_epoch=epoch).take(3)) == expected
    assert [stage.name for stage in train_stages(source, read)] == [
        *("shuffle", "decode", "prefetch")
    ]


def test_without_settings_a_build_of_originals_is_meant(mixed: Path) -> None:
    source = open_photos(mixed)
    assert source.manifest.config == BuildConfig(storage="original")
    assert source.storage.name == "original"
    batch = next(iter(eval_dataset(source, ReadConfig(batch_size=2))))
    assert batch[0].shape == (2, 256, 256, 3)


def as_zip(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
    return path


def as_tar(folder: Path, path: Path) -> Path:
    with tarfile.open(path, "w") as archive:
        archive.add(folder, ".")
    return path


def as_table(folder: Path, path: Path) -> Path:
    """A table in a copy of the folder, where the classes' names say nothing."""
    table = Path(shutil.copytree(folder, path.parent / "copy")) / "labels.csv"
    rows = [file.relative_to(folder) for file in sorted(folder.rglob("*.*"))]
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "label"])
        writer.writerows([row.as_posix(), row.parts[0]] for row in rows)
    return table


@pytest.mark.parametrize(
    ("pack", "name"),
    [slow(as_zip, "a.zip"), slow(as_tar, "a.tar"), (as_table, "a.csv")],
)
def test_every_kind_of_source_gives_the_folders_batches(
    mixed: Path, tmp_path: Path, pack: Callable[[Path, Path], Path], name: str
) -> None:
    packed = open_photos(pack(mixed, tmp_path / name), CONFIG)
    folder, read = open_photos(mixed, CONFIG), ReadConfig(batch_size=5)
    assert packed.manifest.class_names == folder.manifest.class_names
    for split in ("train", "validation"):
        assert_same(
            batches(eval_dataset(packed, read, split)),
            batches(eval_dataset(folder, read, split)),
        )
    assert_same(
        batches(train_dataset(packed, read).take(6)),
        batches(train_dataset(folder, read).take(6)),
    )


def test_the_same_files_are_known_again_and_others_are_not(
    mixed: Path, tmp_path: Path
) -> None:
    before = open_photos(mixed, CONFIG).manifest.fingerprint
    copy = Path(shutil.copytree(mixed, tmp_path / "copy"))
    assert open_photos(copy, CONFIG).manifest.fingerprint == before
    smooth_photo(99, 30, 30).save(copy / "cat" / "new.jpg")
    assert open_photos(copy, CONFIG).manifest.fingerprint != before


# --- what cannot be used


def told(source: PhotoSet) -> str:
    """What ends an evaluation of all training photos."""
    read = ReadConfig(batch_size=5)
    with pytest.raises(tf.errors.OpError) as error:
        batches(eval_dataset(source, read, "train"))
    return str(data_error_in(error.value))


def train_photo(source: PhotoSet, class_name: str) -> str:
    """The key of a photo of a class in the train split."""
    label = source.manifest.class_names.index(class_name)
    return next(file.key for file in source.files["train"] if file.label == label)


@pytest.mark.parametrize("content", [b"not a photo", b""])
def test_a_broken_photo_is_named_with_the_way_out(
    mixed: Path, tmp_path: Path, content: bytes
) -> None:
    folder = Path(shutil.copytree(mixed, tmp_path / "photos"))
    key = train_photo(open_photos(folder, CONFIG), "dog")
    (folder / key).write_bytes(content)
    said = told(open_photos(folder, CONFIG))
    assert said.startswith(f"{folder / key} cannot be used: ")
    assert "alexnet records build" in said
    assert said.endswith(".")


@pytest.mark.parametrize("pack", [as_zip, as_tar])
def test_a_broken_photo_in_an_archive_is_named(
    mixed: Path, tmp_path: Path, pack: Callable[[Path, Path], Path]
) -> None:
    folder = Path(shutil.copytree(mixed, tmp_path / "photos"))
    key = train_photo(open_photos(folder, CONFIG), "cat")
    (folder / key).write_text("not a photo")
    packed = pack(folder, tmp_path / "packed")
    said = told(open_photos(packed, CONFIG))
    assert said.startswith(f"{packed / key} cannot be used: ")


def test_a_photo_that_a_table_names_and_that_is_gone_is_told(
    mixed: Path, tmp_path: Path
) -> None:
    table = as_table(mixed, tmp_path / "a.csv")
    key = train_photo(open_photos(table, CONFIG), "cat")
    (table.parent / key).unlink()
    said = told(open_photos(table, CONFIG))
    where = table.parent / key
    assert said.startswith(f"{where} cannot be read: No such file or directory. ")
    assert "alexnet records build" in said


# --- records or images


def test_a_record_set_is_a_record_set(record_sets: dict[str, Path]) -> None:
    for folder in record_sets.values():
        data = open_data(folder)
        assert not isinstance(data, PhotoSet)
        assert data.kind == "records"
        assert data == open_records(folder)


def test_a_folder_of_images_is_a_source(photos: Path) -> None:
    data = open_data(photos)
    assert isinstance(data, PhotoSet)
    assert data.kind == "photos"
    assert data.folder == photos
    assert sum(len(files) for files in data.files.values()) == NUM_PHOTOS


def test_an_unfinished_build_is_no_source(photos: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(scan(photos), tmp_path, CONFIG, workers=1, progress=stop)
    with pytest.raises(DataError, match=r"no finished record set.*records build"):
        open_data(tmp_path)


@pytest.mark.parametrize("card", ['{"images": []}', "[]", "not ours"])
def test_a_foreign_card_makes_no_record_set_of_images(
    photos: Path, tmp_path: Path, card: str
) -> None:
    folder = Path(shutil.copytree(photos, tmp_path / "photos"))
    (folder / "dataset.json").write_text(card)
    (folder / ".build").mkdir()
    assert isinstance(open_data(folder), PhotoSet)


def test_a_damaged_card_of_a_record_set_is_told(
    record_sets: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(record_sets["jpeg"], tmp_path / "set"))
    (folder / "dataset.json").write_text("{")
    with pytest.raises(DataError, match=r"dataset\.json is damaged or of another"):
        open_data(folder)


def test_what_is_neither_names_both(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder: .*gone.*records build"):
        open_data(tmp_path / "gone")
    with pytest.raises(DataError) as error:
        open_data(tmp_path)
    for words in (
        "no record set",
        "alexnet records build",
        "no images in",
        "cat.1.jpg",
    ):
        assert words in str(error.value)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match=r"letter\.txt is no record set"):
        open_data(tmp_path / "letter.txt")
