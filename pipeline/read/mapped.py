"""Mapped records, fetched by their number: any order costs what reading in order costs.

`PixelRows` gathers bare pixels inside TensorFlow; `JpegRows` decodes JPEGs where they
lie in the mapped shards. Both turn rows, int64 [batch], into a batch and its labels.
The shards stay mapped for as long as a tensor that was lent is held. Those of a set in
a store are mapped when the first row is asked for, once all of them have come.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import numpy as np
import tensorflow as tf

from alexnet.pipeline.background import Background
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.read.callback import fetch_outside, lease
from alexnet.pipeline.read.decode import decode_images
from alexnet.pipeline.read.mmap import Mapping
from alexnet.pipeline.read.parse import find_jpeg
from alexnet.pipeline.read.rows import Rows
from alexnet.pipeline.records.fixed_layout import (
    ALIGNMENT_BYTES,
    LABEL_WIDTH,
    PAGE_BYTES,
    Layout,
)
from alexnet.pipeline.records.interop import read_index
from alexnet.pipeline.records.record_set import RecordSet, repair_hint
from alexnet.pipeline.records.tfrecord import FOOTER_BYTES, HEADER_BYTES, masked_crc
from alexnet.pipeline.verify.checksums import check_shards


def open_rows(records: RecordSet, split: str) -> Rows:
    """The split's rows, as its storage is read.

    Raises:
        DataError: a shard is damaged or cannot be mapped.
    """
    layout = records.manifest.layout
    rows: MappedRows
    if layout is None:
        rows = JpegRows(records, split)
    else:
        rows = PixelRows(records, split, layout)
    if records.remote is None:
        rows.map()
    return rows


class MappedRows(ABC):
    """Rows of shards that are mapped side by side."""

    def __init__(self, records: RecordSet, split: str) -> None:
        self._records, self._split = records, split
        self._paths, shards = records.paths(split), records.shards(split)
        sizes = [shard.num_bytes for shard in shards]
        self._mapping = Mapping([Path(path) for path in self._paths], sizes)
        self._lock, self._is_mapped = Lock(), False
        self._mapping_now: Background[None] | None = None

    @property
    def prepare(self) -> Callable[[], bool] | None:
        """The function to call before `fetch` until it returns True; or None."""
        return None if self._is_mapped else self.try_map

    def try_map(self) -> bool:
        """Tell whether the shards are mapped by now; the first call begins that.

        Raises:
            DataError: a shard is damaged, cannot be had, or cannot be mapped.
        """
        if self._is_mapped:
            return True
        self._mapping_now = mapping = self._mapping_now or Background(self.map)
        if mapping.has_ended():
            self._mapping_now = None  # one that failed is tried again
            mapping.result()
        return self._is_mapped

    def map(self) -> None:
        """Map the split's shards, once all of them are here.

        Raises:
            DataError: a shard is damaged, cannot be had, or cannot be mapped.
        """
        with self._lock:
            if not self._is_mapped:
                self._records.bring(self._split)
                self._check()
                self._mapping.fill()
                self._is_mapped = True

    @abstractmethod
    def _check(self) -> None:
        """Check what no later step checks.

        Raises:
            DataError: a shard is damaged.
        """


class PixelRows(MappedRows):
    """Rows of `raw` or `yuv420` shards, seen as one matrix of bytes."""

    stage, uses_all_cpus, arrivals = "read", False, None

    def __init__(self, records: RecordSet, split: str, layout: Layout) -> None:
        super().__init__(records, split)
        self._shape = records.storage.image_shape(records.manifest.config.side)
        self._layout = layout
        self._width = _piece_bytes(layout)
        self._pixels = self._mapping.view(layout.pixel_offset, self._width)
        self._heads = self._mapping.view(0, ALIGNMENT_BYTES)

    def _check(self) -> None:
        check_shards(self._records, self._split)

    def lend(self) -> tuple[tf.Tensor, ...]:
        """The shards, cut into pieces of pixels and into heads."""
        return self._pixels, self._heads, *([lease(self)] if self.prepare else [])

    def fetch(self, rows: tf.Tensor, *lent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """A uint8 batch and int64 [batch] labels, of rows, int [batch]."""
        in_pieces, in_heads, *_ = lent
        layout, rows = self._layout, tf.cast(rows, tf.int64)
        pieces = -(-layout.pixel_bytes // self._width)
        first = rows * (layout.stride_bytes // self._width)
        # One copy, from the page cache into the batch.
        pixels = tf.gather(in_pieces, first[:, None] + tf.range(pieces, dtype=tf.int64))
        if layout.pixel_bytes % self._width:
            pixels = tf.reshape(pixels, [-1, pieces * self._width])
            pixels = pixels[:, : layout.pixel_bytes]
        batch = tf.reshape(pixels, [-1, *self._shape])
        batch = tf.ensure_shape(batch, [*rows.shape, *self._shape])
        return batch, self._labels(rows, in_heads)

    def _labels(self, rows: tf.Tensor, in_heads: tf.Tensor) -> tf.Tensor:
        layout = self._layout
        heads = tf.gather(in_heads, rows * (layout.stride_bytes // ALIGNMENT_BYTES))
        label = heads[:, layout.label_offset : layout.label_offset + LABEL_WIDTH]
        # A varint: seven bits a byte, the lowest first.
        scale = tf.constant([1 << 7 * place for place in range(LABEL_WIDTH)], tf.int64)
        return tf.linalg.matvec(tf.cast(label & 127, tf.int64), scale)


def _piece_bytes(layout: Layout) -> int:
    """Return the bytes of the pieces that are gathered, several of them an image.

    Pieces of a page are as fast as whole images (2 CPUs: 76 000 images/s at 256 px);
    1 KiB is half as fast. A record's last piece must not end behind the record.
    """
    room = layout.stride_bytes - layout.pixel_offset
    widths = (PAGE_BYTES >> halvings for halvings in range(7))
    return next(
        width for width in widths if -(-layout.pixel_bytes // width) * width <= room
    )


class JpegRows(MappedRows):
    """Rows of `jpeg` shards: records of any length, found by their index.

    Each record is checked whenever it is read.
    """

    stage, uses_all_cpus, arrivals = "decode", True, None

    def __init__(self, records: RecordSet, split: str) -> None:
        super().__init__(records, split)
        self._config, self._storage = records.manifest.config, records.storage
        self._shards = self._mapping.files()
        sizes = [shard.num_examples for shard in records.shards(split)]
        self._first_rows = np.cumsum([0, *sizes])

    def _check(self) -> None:
        folder, shards = self._records.folder, self._records.shards(self._split)
        self._places = np.concatenate([read_index(folder, shard) for shard in shards])

    def lend(self) -> tuple[tf.Tensor, ...]:
        """Return the tensor that keeps these rows alive, and so the shards mapped."""
        return (lease(self),)

    def fetch(self, rows: tf.Tensor, *lent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """A uint8 batch and int64 [batch] labels, of rows, int [batch]."""
        config, storage = self._config, self._storage
        return fetch_outside(self._decode, rows, config, *lent, storage=storage)

    def _decode(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels = np.empty(len(rows), np.int64)
        shards = np.searchsorted(self._first_rows, rows, "right") - 1
        numbers = rows - self._first_rows[shards]
        # Plain integers: a NumPy scalar costs a microsecond each time it is touched.
        columns = (shards.tolist(), numbers.tolist(), self._places[rows].tolist())
        records = list(zip(*columns, strict=True))

        def read(place: int) -> np.ndarray:
            labels[place], encoded = find_jpeg(self._record(*records[place]))
            return encoded

        def name(place: int) -> str:
            shard, number, _ = records[place]
            return f"record {number} of {self._paths[shard]}"

        images = decode_images(len(rows), read, name, self._config, self._storage)
        return images, labels

    def _record(self, shard: int, number: int, place: tuple[int, int]) -> np.ndarray:
        """Return the bytes of a record where they lie in the shard, once checked.

        Raises:
            DataError: their checksum is wrong.
        """
        offset, size = place
        framed = self._shards[shard][offset : offset + size]
        record = framed[HEADER_BYTES:-FOOTER_BYTES]
        crc = int.from_bytes(framed[-FOOTER_BYTES:].tobytes(), "little")
        if masked_crc(record) != crc:
            raise DataError(
                f"{self._paths[shard]} is damaged at record {number}, byte {offset}."
                f" {repair_hint(Path(self._paths[shard]).parent)}"
            )
        return record
