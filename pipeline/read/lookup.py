"""Some examples of a split by their numbers: stored records, and their files' names.

For pictures of a few examples: whatever the storage and the reader, only what is asked
for is read. Numbers count in the order in which evaluation sees a split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.encode import FILENAME
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


def file_keys(records: RecordSet, split: str, rows: Sequence[int]) -> list[str]:
    """The keys of the image files that examples of a split were made of.

    Raises:
        DataError: a record is damaged, or names no file.
    """
    from alexnet.pipeline.read.image_folder import PhotoSet

    if isinstance(records, PhotoSet):
        return [records.files[split][row].key for row in rows]
    return [_key(record) for record in read_records(records, split, rows)]


def _key(record: bytes) -> str:
    try:
        (name,) = read_example(record, FILENAME)
    except ValueError as error:
        raise DataError(f"a record does not say what it was made of: {error}") from None
    return bytes(cast(memoryview, name)).decode("utf-8", "surrogateescape")


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
        if shard.name not in places:
            places[shard.name] = _places(records, shard)
        record = row - int(first_rows[number])
        yield _read(records, shard, record, *places[shard.name][record].tolist())


def _places(records: RecordSet, shard: Shard) -> np.ndarray:
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
    path = records.folder / shard.name
    with path.open("rb") as file:
        file.seek(offset)
        framed = file.read(size)
    data, crc = framed[HEADER_BYTES:-FOOTER_BYTES], framed[-FOOTER_BYTES:]
    if len(framed) < size or masked_crc(data) != int.from_bytes(crc, "little"):
        raise DataError(
            f"{path} is damaged at record {record}, byte {offset}."
            f" {repair_hint(records.folder)}"
        )
    return data
