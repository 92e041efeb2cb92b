"""Examples and TFRecord framing against TensorFlow's own writer and reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import pytest
import tensorflow as tf

from pipeline.example import encode_example, frame, masked_crc, write_shard

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


def test_the_bytes_do_not_depend_on_the_order_of_the_features() -> None:
    backwards = dict(reversed(FEATURES.items()))
    assert encode_example(backwards) == encode_example(FEATURES)


def test_an_example_is_what_protobuf_writes() -> None:
    example = tf.train.Example()
    for key in sorted(FEATURES):
        value = FEATURES[key]
        if isinstance(value, bytes):
            example.features.feature[key].bytes_list.value.append(value)
        else:
            example.features.feature[key].int64_list.value.append(value)
    written = example.SerializeToString(deterministic=True)
    assert encode_example(FEATURES) == written


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
