"""Examples of a split by their numbers: records, their labels and their files' names.

Whatever the storage and the reader, only what is asked for is read. Numbers count in
the order in which evaluation sees a split.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.encode import FILENAME, LABEL
from alexnet.pipeline.records.interop import read_index
from alexnet.pipeline.records.record_set import repair_hint
from alexnet.pipeline.records.tfrecord import (
    FOOTER_BYTES,
    HEADER_BYTES,
    masked_crc,
    read_example,
)

if TYPE_CHECKING:
    import numpy as np

    from alexnet.pipeline.records.manifest import Shard
    from alexnet.pipeline.records.record_set import RecordSet


def sample_rows(num_examples: int, count: int, seed: int) -> list[int]:
    """Up to `count` different numbers below `num_examples`, uniformly at random."""
    import numpy as np

    count = min(count, num_examples)
    chosen = np.random.default_rng(seed).choice(num_examples, count, replace=False)
    return [int(row) for row in chosen]


def read_labels(records: RecordSet, split: str) -> np.ndarray:
    """int64 [examples]: the class numbers of a split, in order.

    Raises:
        DataError: a record has no label.
    """
    import numpy as np

    return np.array(list(_column(records, split, LABEL)), np.int64)


def read_keys(
    records: RecordSet, split: str, rows: Sequence[int] | None = None
) -> list[str]:
    """The keys of the image files that examples of a split were made of.

    Of some rows each record's checksum is checked; of all, by default, nothing is read
    but the names.

    Raises:
        DataError: a record is damaged, or names no file.
    """
    if rows is None:
        names = _column(records, split, FILENAME)
    else:
        names = (_key(record) for record in read_records(records, split, rows))
    return [bytes(name).decode("utf-8", "surrogateescape") for name in names]


def _key(record: bytes) -> memoryview:
    try:
        (name,) = read_example(record, FILENAME)
    except ValueError as error:
        raise DataError(f"a record does not say what it was made of: {error}") from None
    return cast(memoryview, name)


def _column(records: RecordSet, split: str, feature: str) -> Iterator[Any]:
    """Yield a feature of every example of a split, without reading the pixels.

    Raises:
        DataError: a record lacks it.
    """
    for shard in records.shards(split):
        with records.held(shard) as path, path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            places = record_places(records, shard).tolist()
        data = memoryview(mapped)
        for number, (offset, size) in enumerate(places):
            record = data[offset : offset + size][HEADER_BYTES:-FOOTER_BYTES]
            try:
                yield read_example(record, feature)[0]
            except ValueError:
                raise _damaged(records, shard, number, offset) from None


def read_records(
    records: RecordSet, split: str, rows: Sequence[int]
) -> Iterator[bytes]:
    """Yield the serialised Examples of a split that have the numbers `rows`.

    Raises:
        DataError: a record is damaged.
    """
    import numpy as np

    shards = records.shards(split)
    first_rows = np.cumsum([0, *(shard.num_examples for shard in shards)])
    places: dict[str, np.ndarray] = {}
    for row in rows:
        number = int(np.searchsorted(first_rows, row, "right")) - 1
        shard = shards[number]
        record = row - int(first_rows[number])
        with records.held(shard):
            if shard.name not in places:
                places[shard.name] = record_places(records, shard)
            place = places[shard.name][record].tolist()
            data = _read(records, shard, record, *place)
        yield data


def record_places(records: RecordSet, shard: Shard) -> np.ndarray:
    """int64 [records, 2]: where each record of a shard starts, and its framed size."""
    import numpy as np

    layout = records.manifest.layout
    if layout is None:
        return read_index(records.folder, shard)
    starts = np.arange(shard.num_examples) * layout.stride_bytes
    return np.stack([starts, np.full_like(starts, layout.stride_bytes)], axis=1)


def _read(
    records: RecordSet, shard: Shard, record: int, offset: int, size: int
) -> bytes:
    with (records.folder / shard.name).open("rb") as file:
        file.seek(offset)
        framed = file.read(size)
    data, crc = framed[HEADER_BYTES:-FOOTER_BYTES], framed[-FOOTER_BYTES:]
    if len(framed) < size or masked_crc(data) != int.from_bytes(crc, "little"):
        raise _damaged(records, shard, record, offset)
    return data


def _damaged(records: RecordSet, shard: Shard, record: int, offset: int) -> DataError:
    return DataError(
        f"{records.folder / shard.name} is damaged at record {record}, byte {offset}."
        f" {repair_hint(records.folder)}"
    )
