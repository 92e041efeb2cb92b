"""Whether the data is to blame for what TensorFlow raised: which shard, which photo.

tf.data keeps the text of an error alone, or knows a damaged record by its place among
others; here both become a DataError that names the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from pipeline.errors import DataError, data_error_in
from pipeline.reader import RecordSet
from pipeline.verify import require_whole_shards


def blame_data(records: RecordSet, error: Exception) -> None:
    """Say what an error was about, where that is the data.

    Raises:
        DataError: a shard is damaged, or a photo cannot be used.
    """
    if isinstance(error, (tf.errors.DataLossError, tf.errors.InvalidArgumentError)):
        require_whole_shards(records)
    if told := error if isinstance(error, DataError) else data_error_in(error):
        raise told


@contextmanager
def reading(records: RecordSet) -> Iterator[None]:
    """The block takes batches of `records`.

    Raises:
        DataError: a shard is damaged, or a photo cannot be used.
    """
    try:
        yield
    except tf.errors.OpError as error:
        blame_data(records, error)
        raise
