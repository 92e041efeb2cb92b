"""The tf.data pipeline that most people write, without any tuning.

It reads the very shards that the pipeline reads: parse and decode one record at a time,
shuffle, batch, prefetch, with TensorFlow's defaults everywhere else.
"""

from __future__ import annotations

import tensorflow as tf

from alexnet.benchmarks.measure import Timing, deliver
from alexnet.pipeline.read.opened_records import OpenedRecords
from alexnet.pipeline.records.encode import LABEL

# Decoded images, as in TensorFlow's own guides: 188 MiB of them at 256 px.
SHUFFLE_BUFFER = 1000


def plan_plain(records: OpenedRecords, batch_size: int) -> Timing:
    """The timing of plain tf.data on a record set's train split."""
    return Timing("plain", lambda: deliver(plain_dataset(records, batch_size)))


def plain_dataset(records: OpenedRecords, batch_size: int) -> tf.data.Dataset:
    """Shuffled batches without end: images and int64 [batch] labels."""
    storage, side = records.storage, records.manifest.config.side
    pixels_shape, rgb_shape = storage.image_shape(side), (side, side, 3)
    features = {
        storage.image_key: tf.io.FixedLenFeature([], tf.string),
        LABEL: tf.io.FixedLenFeature([], tf.int64),
    }

    def example(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_single_example(record, features)
        return decode(parsed[storage.image_key]), parsed[LABEL]

    def decode(data: tf.Tensor) -> tf.Tensor:
        if storage.is_pixels:
            return tf.reshape(tf.io.decode_raw(data, tf.uint8), pixels_shape)
        image = tf.io.decode_jpeg(data, channels=3)
        if storage.is_square:
            return tf.ensure_shape(image, rgb_shape)
        return tf.image.resize(image, rgb_shape[:2])

    dataset = tf.data.TFRecordDataset(records.paths("train"))
    dataset = dataset.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.shuffle(SHUFFLE_BUFFER).repeat()
    dataset = dataset.batch(batch_size, drop_remainder=True)
    return dataset.prefetch(tf.data.AUTOTUNE)
