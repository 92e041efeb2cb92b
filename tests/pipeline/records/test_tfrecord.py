"""Examples and TFRecord framing against TensorFlow's own writer and reader."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import pytest
import tensorflow as tf

from alexnet.pipeline.records.tfrecord import (
    encode_example,
    frame,
    masked_crc,
    read_example,
    write_shard,
)

FEATURES: dict[str, bytes | int] = {
    "image/encoded": bytes(range(256)) * 70,
    "empty": b"",
    "zero": 0,
    "negative": -1,
    "lowest": -(2**63),
    "highest": 2**63 - 1,
    "größe/ключ": "Köln".encode(),
    "a": 127,
    "b": 128,
}
RECORDS = [b"", b"x", bytes(300), encode_example(FEATURES)]


def test_tensorflow_parses_an_example() -> None:
    found = tf.train.Example.FromString(encode_example(FEATURES)).features.feature
    assert set(found) == set(FEATURES)
    for key, value in FEATURES.items():
        lists = found[key].bytes_list, found[key].int64_list
        values = [list(one.value) for one in lists]
        assert values == ([[value], []] if isinstance(value, bytes) else [[], [value]])


def example_of(features: dict[str, Any]) -> Any:
    """The features as protobuf holds them; a list's type is its first value's."""
    example = tf.train.Example()
    for key, value in features.items():
        values = value if isinstance(value, list) else [value]
        feature = example.features.feature[key]
        if isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif isinstance(values[0], float):
            feature.float_list.value.extend(values)
        else:
            feature.int64_list.value.extend(values)
    return example


def test_an_example_is_what_protobuf_writes() -> None:
    """Protobuf sorts the keys when it is asked for the same bytes each time."""
    written = example_of(FEATURES).SerializeToString(deterministic=True)
    assert encode_example(dict(sorted(FEATURES.items()))) == written


def test_the_features_stand_in_the_order_they_are_given() -> None:
    for keys in (["b", "a", "zero"], ["zero", "a", "b"]):
        record = encode_example({key: FEATURES[key] for key in keys})
        places = [record.index(b"\x0a" + bytes([len(k)]) + k.encode()) for k in keys]
        assert places == sorted(places)
    assert encode_example({"b": 1, "a": 2}) != encode_example({"a": 2, "b": 1})


# --- reading


def random_features(draw: random.Random) -> dict[str, bytes | int]:
    """One to eight features; sizes and numbers around where varints grow."""
    edges = (0, 1, 127, 128, 129, 16_383, 16_384, 20_000)
    letters = "ab/ßж"
    features: dict[str, bytes | int] = {}
    for number in range(draw.randint(1, 8)):
        key = f"{number}" + "".join(draw.choices(letters, k=draw.randrange(100)))
        if draw.random() < 0.5:
            features[key] = draw.randbytes(draw.choice(edges))
        else:
            sign = draw.choice((-1, 1))
            features[key] = sign * (draw.getrandbits(draw.randrange(64)))
    return features


@pytest.mark.parametrize("seed", range(20))
def test_what_protobuf_writes_is_read(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(20):
        features = random_features(draw)
        record = example_of(features).SerializeToString()
        keys = draw.sample(sorted(features), draw.randint(0, len(features)))
        assert read_example(record, *keys) == [features[key] for key in keys]
        assert read_example(encode_example(features), *keys) == [
            features[key] for key in keys
        ]


def test_of_several_values_the_first_is_read() -> None:
    record = example_of({"n": [300, -7, 5], "b": [b"one", b"two"]}).SerializeToString()
    assert read_example(record, "b", "n") == [b"one", 300]


def test_a_feature_that_is_not_there_is_told() -> None:
    record = encode_example({"here": 1, "there": b"x"})
    with pytest.raises(ValueError, match="an Example without gone, größe"):
        read_example(record, "here", "gone", "größe")


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("values", ["no kind", "no value", "float"])
def test_a_feature_without_such_a_value_is_refused(values: str, place: str) -> None:
    """Nor is another feature's value taken for it."""
    example = example_of({"number": 5, "bytes": b"abc"})
    if values == "float":
        example.features.feature["empty"].float_list.value.append(2.5)
    elif values == "no value":
        example.features.feature["empty"].int64_list.SetInParent()
    else:
        example.features.feature["empty"].SetInParent()
    record = example.SerializeToString(deterministic=True)  # bytes, empty, number
    if place == "last":
        del example.features.feature["number"]
        record = example.SerializeToString(deterministic=True)
    with pytest.raises(ValueError, match=r"tf\.train\.Example"):
        read_example(record, "empty")


def test_every_cut_of_a_record_is_refused() -> None:
    record = encode_example({"label": 3, "image": bytes(range(256))})
    for length in range(len(record)):
        with pytest.raises(ValueError, match=r"tf\.train\.Example"):
            read_example(record[:length], "label", "image")


# --- shards


def test_a_shard_is_what_tensorflow_writes(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for record in RECORDS:
            writer.write(record)
    written = write_shard(ours, iter(RECORDS))
    content = ours.read_bytes()
    assert content == theirs.read_bytes() == b"".join(map(frame, RECORDS))
    assert written == (len(RECORDS), len(content), google_crc32c.value(content))
    read = tf.data.TFRecordDataset(str(ours))
    assert list(read.as_numpy_iterator()) == RECORDS


def test_crc_of_the_standard_check_value() -> None:
    # CRC-32C of "123456789" is 0xE3069283 (RFC 3720, appendix B.4's polynomial).
    crc = 0xE3069283
    rotated = (crc >> 15) | ((crc & 0x7FFF) << 17)
    assert masked_crc(b"123456789") == (rotated + 0xA282EAD8) % 2**32


def test_a_shard_that_fails_is_absent(tmp_path: Path) -> None:
    def records() -> Iterator[bytes]:
        yield b"first"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "shard", records())
    assert list(tmp_path.iterdir()) == []
