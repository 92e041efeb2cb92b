"""Batches as a worker of a data service makes them, in TensorFlow's operations alone.

A batch's number decides its rows, so that any worker makes the same batch. Records are
found by number, as in mapped shards, and read one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from alexnet.pipeline.read.lookup import record_places
from alexnet.pipeline.read.parse import decode, parse, records_from
from alexnet.pipeline.records.manifest import MANIFEST
from alexnet.pipeline.records.record_set import RecordSet

Number: TypeAlias = "int | tf.Tensor"
# Of a batch's number, int64 []: the rows of the split in it, int64 [batch].
RowsOf = Callable[[tf.Tensor], tf.Tensor]

# Batches whose records are read side by side: enough to wait for none of them.
READ_AHEAD = 2
# Images that are decoded side by side, as far as a worker has CPUs.
DECODED_AHEAD = 128
# Marks this error of a worker, which arrives as text.
OTHER_RECORDS = "this worker has other records than the trainer"


@dataclass(frozen=True)
class WorkerBatches:
    """The batches of a split that workers make."""

    records: RecordSet
    split: str
    batch_size: int
    rows_of: RowsOf

    @property
    def element_spec(self) -> tuple[tf.TensorSpec, tf.TensorSpec]:
        """A batch's images and labels."""
        shape = self.records.storage.image_shape(self.records.manifest.config.side)
        return (
            tf.TensorSpec([self.batch_size, *shape], tf.uint8),
            tf.TensorSpec([self.batch_size], tf.int64),
        )

    def dataset(self, first: Number, end: Number) -> tf.data.Dataset:
        """Return batches `first` up to `end`: number, int64 [], images and labels.

        Images are uint8 [batch, side, side, 3], or planes; labels are int64 [batch].
        """
        places, require_same_set = self._places(), self._same_set()

        def read(number: tf.Tensor) -> tf.data.Dataset:
            with tf.control_dependencies([require_same_set()]):
                rows = self.rows_of(number)
            records = tf.data.Dataset.from_tensor_slices(places(rows))
            batch = records.flat_map(_record_at).batch(self.batch_size)
            return batch.map(lambda batch: (number, batch))

        numbers = tf.data.Dataset.range(first, end)
        stored = numbers.interleave(
            read, READ_AHEAD, 1, num_parallel_calls=READ_AHEAD, deterministic=True
        )
        parsed = stored.map(
            lambda number, batch: (number, *parse(batch, self.records.storage))
        )
        return self._decoded(parsed).prefetch(1).with_options(_options())

    def make_one(self, number: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Images and labels of a batch, made here."""
        _, images, labels = self._make_one(tf.constant(number, tf.int64))
        return images, labels

    @cached_property
    def _make_one(self) -> Any:
        """The function that makes a batch by its number, traced once."""

        def make(number: tf.Tensor) -> Any:
            return self.dataset(number, number + 1).get_single_element()

        return tf.function(make, autograph=False)

    def _places(self) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
        """Return a function of rows, int64 [batch], to shard paths and first bytes."""
        shards = self.records.shards(self.split)
        paths = self.records.paths(self.split)
        edges = np.cumsum([0, *(shard.num_examples for shard in shards)])
        places = [record_places(self.records, shard)[:, 0] for shard in shards]
        first_bytes = np.concatenate(places)

        def find(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            numbers = tf.searchsorted(edges, rows, "right") - 1
            return tf.gather(paths, numbers), tf.gather(first_bytes, rows)

        return find

    def _same_set(self) -> Callable[[], tf.Operation]:
        """Return a check that fails on a worker that has other records than these."""
        path = str(self.records.folder / MANIFEST)
        with tf.init_scope():
            here = int(_content_hash(path))

        def check() -> tf.Operation:
            same = tf.equal(_content_hash(path), here)
            return tf.debugging.Assert(same, [OTHER_RECORDS])

        return check

    def _decoded(self, parsed: tf.data.Dataset) -> tf.data.Dataset:
        config = self.records.manifest.config
        if self.records.storage.is_pixels:
            return parsed.map(
                lambda number, stored, labels: (number, decode(stored, config), labels)
            )
        shape = self.records.storage.image_shape(config.side)

        def split(number: tf.Tensor, stored: tf.Tensor, labels: tf.Tensor) -> Any:
            return tf.fill(tf.shape(labels), number), stored, labels

        def decode_one(number: tf.Tensor, stored: tf.Tensor, label: tf.Tensor) -> Any:
            # As libjpeg-turbo decodes by default, and so as the trainer's own threads.
            image = tf.io.decode_jpeg(stored, channels=3, dct_method="INTEGER_ACCURATE")
            return number, tf.ensure_shape(image, shape), label

        images = parsed.map(split).unbatch()
        images = images.map(decode_one, DECODED_AHEAD, deterministic=True)
        batches = images.batch(self.batch_size, drop_remainder=True)
        return batches.map(lambda numbers, images, labels: (numbers[0], images, labels))


def _record_at(path: tf.Tensor, first_byte: tf.Tensor) -> tf.data.Dataset:
    """The record that begins at a byte, without a buffer to be filled for it alone."""
    return records_from(path, first_byte, 0).take(1)


def _content_hash(path: str) -> tf.Tensor:
    return tf.strings.to_hash_bucket_fast(tf.io.read_file(path), 2**62)


def _options() -> tf.data.Options:
    """Return the options of a worker's dataset; it has as many threads as CPUs."""
    options = tf.data.Options()
    options.deterministic = True
    # Its thread would hold up the end of every job for up to a minute.
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    options.threading.max_intra_op_parallelism = 1
    return options
