"""What other programs are told of a record set is what TensorFlow reads in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.interop import read_index, save_interop, shard_index
from alexnet.pipeline.records.manifest import Manifest, Shard, SplitCard, load_manifest
from alexnet.pipeline.source.scan import scan
from tests.conftest import SIDE, smooth_photo
from tests.pipeline.build.test_build import content, interrupted

CONFIG = BuildConfig(side=SIDE, shards=3)
RAW = BuildConfig(storage="raw", side=SIDE)
CLASS_NAMES = "image.class.label.labels.txt"
TFDS_FILES = {"dataset_info.json", "features.json", CLASS_NAMES}
FEATURES = "tensorflow_datasets.core.features."
# The list of a tf.train.Feature that holds the values of each TFDS feature.
KINDS = {
    "image_feature.Image": "bytes_list",
    "text_feature.Text": "bytes_list",
    "class_label_feature.ClassLabel": "int64_list",
    "scalar.Scalar": "int64_list",
}


@pytest.fixture(params=["jpeg", "original"])
def records(request: pytest.FixtureRequest, record_sets: dict[str, Path]) -> Path:
    return record_sets[request.param]


def loaded(path: Path) -> Any:
    return json.loads(path.read_text())


def serialized(shard: Path) -> list[bytes]:
    return list(tf.data.TFRecordDataset(str(shard)).as_numpy_iterator())


def examples(folder: Path, split: str) -> list[Any]:
    return [
        tf.train.Example.FromString(record).features.feature
        for shard in sorted(folder.glob(f"{split}-*.tfrecord"))
        for record in serialized(shard)
    ]


def one_shard(class_names: tuple[str, ...], shard: Shard) -> Manifest:
    return Manifest(
        config=CONFIG,
        class_names=class_names,
        splits={"train": SplitCard((shard,), (shard.num_examples,))},
        quarantined=0,
        source_fingerprint="",
    )


# --- DALI


def test_an_index_leads_to_every_record(records: Path) -> None:
    shards = sorted(records.glob("*.tfrecord"))
    names = {f"{shard.stem}.idx" for shard in shards}
    assert {path.name for path in (records / "idx").iterdir()} == names
    for shard in shards:
        data, found, end = shard.read_bytes(), [], 0
        for line in (records / "idx" / f"{shard.stem}.idx").read_text().splitlines():
            offset, size = (int(word) for word in line.split(" "))
            assert offset == end
            end = offset + size
            found.append(data[offset + 12 : end - 4])
        assert found == serialized(shard)
        assert end == len(data)


@pytest.mark.parametrize("has_index", [True, False])
def test_an_index_is_read_or_made_anew(
    records: Path, tmp_path: Path, has_index: bool
) -> None:
    folder = Path(shutil.copytree(records, tmp_path / "records"))
    for card in load_manifest(folder).splits.values():
        for shard in card.shards:
            index = folder / "idx" / f"{Path(shard.name).stem}.idx"
            lines = [line.split() for line in index.read_text().splitlines()]
            if not has_index:
                index.unlink()
            found = read_index(folder, shard)
            assert found.dtype == "int64"
            assert found.tolist() == [[int(a), int(b)] for a, b in lines]
            assert len(found) == shard.num_examples


def test_the_index_of_no_records_is_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.tfrecord").touch()
    shard = Shard("empty.tfrecord", 0, 0, 0)
    assert shard_index(tmp_path, shard) == ""
    assert read_index(tmp_path, shard).shape == (0, 2)


def test_records_that_were_not_written_are_not_indexed(tmp_path: Path) -> None:
    """Zeros look like records without data, 16 bytes each."""
    (tmp_path / "zeros.tfrecord").write_bytes(bytes(32))
    with pytest.raises(DataError, match="with 1 record in 32 bytes"):
        shard_index(tmp_path, Shard("zeros.tfrecord", 1, 32, 0))


# --- TensorFlow Datasets


def test_splits_and_shards_are_those_that_are_there(records: Path) -> None:
    info = loaded(records / "dataset_info.json")
    assert info["fileFormat"] == "tfrecord"
    assert [split["name"] for split in info["splits"]] == ["train", "validation"]
    named = []
    for split in info["splits"]:
        lengths = [int(length) for length in split["shardLengths"]]
        shards = [
            records
            / split["filepathTemplate"].format(
                SPLIT=split["name"],
                SHARD_X_OF_Y=f"{index:05d}-of-{len(lengths):05d}",
                FILEFORMAT=info["fileFormat"],
            )
            for index in range(len(lengths))
        ]
        assert lengths == [len(serialized(shard)) for shard in shards]
        assert int(split["numBytes"]) == sum(path.stat().st_size for path in shards)
        named += shards
    # A reader that goes by the beginning of a name finds the shards and nothing else.
    patterns = ("train*", "validation*")
    assert named == [p for pattern in patterns for p in sorted(records.glob(pattern))]


def test_features_are_those_of_the_records(records: Path) -> None:
    root = loaded(records / "features.json")
    assert root["pythonClassName"] == FEATURES + "features_dict.FeaturesDict"
    features = root["featuresDict"]["features"]
    kinds = {
        key: KINDS[feature["pythonClassName"].removeprefix(FEATURES)]
        for key, feature in features.items()
    }
    for feature in features.values():
        assert feature.get("tensor", {"dtype": "int64"})["dtype"] == "int64"
    dimensions = features["image/encoded"]["image"]["shape"]["dimensions"]
    for example in examples(records, "train"):
        assert {key: example[key].WhichOneof("kind") for key in example} == kinds
        (encoded,) = example["image/encoded"].bytes_list.value
        shape = tf.io.decode_image(encoded, channels=3).shape
        assert len(shape) == len(dimensions)
        for size, told in zip(shape, dimensions, strict=True):
            assert int(told) in (-1, size)
    names = (records / CLASS_NAMES).read_text().splitlines()
    label = features["image/class/label"]["classLabel"]
    assert int(label["numClasses"]) == len(names)
    for example in examples(records, "validation"):
        (text,) = example["image/class/text"].bytes_list.value
        (number,) = example["image/class/label"].int64_list.value
        assert names[number] == text.decode()


def test_jpeg_promises_one_shape_and_original_none(
    record_sets: dict[str, Path],
) -> None:
    found = {}
    for storage in ("jpeg", "original"):
        features = loaded(record_sets[storage] / "features.json")["featuresDict"]
        image = features["features"]["image/encoded"]["image"]
        found[storage] = image["shape"]["dimensions"]
    assert found == {"jpeg": ["16", "16", "3"], "original": ["-1", "-1", "3"]}


def test_an_empty_split_is_not_told_of(photos: Path, tmp_path: Path) -> None:
    config = BuildConfig(side=SIDE, validation_fraction=0)
    build(scan(photos), tmp_path, config, workers=1)
    (split,) = loaded(tmp_path / "dataset_info.json")["splits"]
    assert (split["name"], split["shardLengths"]) == ("train", ["24"])


def test_every_class_name_is_a_line_of_utf8(tmp_path: Path) -> None:
    shard = Shard("train-00000-of-00001.tfrecord", 0, 0, 0)
    (tmp_path / shard.name).touch()
    names = ("Große Katze", "two\nlines", "b\udcff")  # the last: a byte 255 in a name
    save_interop(tmp_path, one_shard(names, shard))
    text = (tmp_path / CLASS_NAMES).read_bytes().decode()
    assert text == "Große Katze\ntwo lines\nb\N{REPLACEMENT CHARACTER}\n"


# --- a build


@pytest.mark.parametrize("storage", ["raw", "yuv420"])
def test_bare_pixels_have_no_such_files(
    record_sets: dict[str, Path], storage: str
) -> None:
    names = {path.name for path in record_sets[storage].iterdir()}
    assert "dataset.json" in names
    assert not names & {*TFDS_FILES, "idx"}


def test_a_build_interrupted_before_the_manifest_ends_the_same(
    photos: Path,
    tmp_path: Path,
    record_sets: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(manifest: Manifest, folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Manifest, "save", interrupted)
        build(scan(photos), tmp_path, CONFIG, workers=1)
    names = {path.name for path in tmp_path.iterdir()}
    assert names > TFDS_FILES
    assert "dataset.json" not in names
    (tmp_path / "idx" / "train-00001-of-00003.idx").unlink()
    report = build(scan(photos), tmp_path, CONFIG, workers=1)
    assert report.encoded == 0
    assert content(tmp_path) == content(record_sets["jpeg"])


@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_a_shard_spoilt_between_two_runs_is_found(
    photos: Path, tmp_path: Path, record_sets: dict[str, Path], byte: bytes
) -> None:
    interrupted(scan(photos), tmp_path, 13)
    shard = tmp_path / "train-00001-of-00003.tfrecord"
    shard.write_bytes(byte * shard.stat().st_size)
    with pytest.raises(DataError, match=r"train-00001.* 6 records .* Delete it"):
        build(scan(photos), tmp_path, CONFIG, workers=1)
    assert not (tmp_path / "dataset.json").exists()
    shard.unlink()
    build(scan(photos), tmp_path, CONFIG, workers=1)
    assert content(tmp_path) == content(record_sets["jpeg"])


def test_overwrite_takes_them_away(photos: Path, tmp_path: Path) -> None:
    more = BuildConfig(side=SIDE, shards=9)
    build(scan(photos), tmp_path, more, workers=1)
    (tmp_path / "idx" / ".train-00000-of-00009.idx.partial").touch()  # of a killed run
    build(scan(photos), tmp_path, RAW, workers=1, overwrite=True)
    names = {path.name for path in tmp_path.iterdir()}
    assert "dataset.json" in names
    assert not names & {*TFDS_FILES, "idx"}


def test_overwrite_leaves_what_is_not_ours(photos: Path, tmp_path: Path) -> None:
    build(scan(photos), tmp_path, CONFIG, workers=1)
    (tmp_path / "idx" / "mine.idx").write_text("mine")
    build(scan(photos), tmp_path, RAW, workers=1, overwrite=True)
    assert {k: v for k, v in content(tmp_path).items() if k.startswith("idx")} == {
        "idx/mine.idx": b"mine"
    }
    for name in TFDS_FILES:  # which no `raw` set has
        (tmp_path / name).write_text("mine")
    other = BuildConfig(storage="raw", side=20)
    build(scan(photos), tmp_path, other, workers=1, overwrite=True)
    assert {content(tmp_path)[name] for name in TFDS_FILES} == {b"mine"}


# --- the round trip


@pytest.mark.slow
def test_tfds_reads_the_set(records: Path) -> None:
    tfds = pytest.importorskip("tensorflow_datasets")
    builder = tfds.builder_from_directory(str(records))
    label = builder.info.features["image/class/label"]
    assert label.names == (records / "labels.txt").read_text().splitlines()
    manifest = load_manifest(records)
    assert list(builder.info.splits) == list(manifest.splits)
    for split, card in manifest.splits.items():
        expected = {
            example["image/filename"].bytes_list.value[0]: example
            for example in examples(records, split)
        }
        found = list(builder.as_dataset(split=split).as_numpy_iterator())
        assert builder.info.splits[split].num_examples == len(found)
        assert len(found) == len(expected) == card.num_examples
        for values in found:
            example = expected.pop(values["image/filename"])
            assert set(values) == set(example)
            (encoded,) = example["image/encoded"].bytes_list.value
            pixels = tf.io.decode_image(encoded, channels=3).numpy()
            assert (values.pop("image/encoded") == pixels).all()
            for key, value in values.items():
                kind = example[key].WhichOneof("kind")
                assert [value] == list(getattr(example[key], kind).value)
        pairs = builder.as_dataset(split=split, as_supervised=True)
        labels = [int(label) for _, label in pairs.as_numpy_iterator()]
        counts = [labels.count(number) for number in range(len(label.names))]
        assert counts == list(card.class_counts)


@pytest.mark.slow
def test_tfds_reads_a_set_with_an_empty_shard(tmp_path: Path) -> None:
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = tmp_path / "photos" / "cat"
    folder.mkdir(parents=True)
    for number in range(4):
        smooth_photo(number, 30, 20).save(folder / f"{number}.jpg")
    config = BuildConfig(side=SIDE, shards=4, validation_fraction=0)
    (folder / "2.jpg").write_bytes(b"\xff\xd8\xff")
    records = tmp_path / "records"
    build(scan(folder.parent), records, config, workers=1)
    builder = tfds.builder_from_directory(str(records))
    assert "0" in loaded(records / "dataset_info.json")["splits"][0]["shardLengths"]
    names = [ex["image/filename"] for ex in builder.as_dataset(split="train")]
    found = sorted(Path(name.numpy().decode()).name for name in names)
    assert found == ["0.jpg", "1.jpg", "3.jpg"]
