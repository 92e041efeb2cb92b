"""Errors of TensorFlow that the data caused: which shard, which photo.

tf.data keeps only the text of an error, or knows a damaged record only by its place
among others; here both become a DataError that names the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from alexnet.pipeline.errors import DataError, data_error_in
from alexnet.pipeline.read.example_set import ExampleSet
from alexnet.pipeline.records.record_set import RecordSet
from alexnet.pipeline.verify.checksums import require_whole_shards

# TensorFlow names the ops that an error came through, each in a bracket. Where tf.data
# raised it, one of them is an iterator's, `IteratorGetNext` or a similar one; where a
# network did, none is. A name that ends with `/_7` is an edge between devices, on which
# other ops wait for the one that failed.
FROM_ITERATOR = re.compile(
    r"(\[\[|\{\{node |\[Op:)([^\s\]}]*/)?\w*IteratorGetNext\w*[\]}]"
)

# By the loss, which knows how many classes the network has, and not how many there are.
WRONG_LABEL = re.compile(r"Received a label value of (-?\d+) which is outside")


def raise_data_error(records: ExampleSet, error: Exception) -> None:
    """Raise a DataError that names the file, if the data caused an error.

    Shards are read through only where TensorFlow could not use what was in them.

    Raises:
        DataError: a shard is damaged, or a photo cannot be used.
    """
    may_be_shard = isinstance(error, tf.errors.DataLossError) or (
        isinstance(error, tf.errors.InvalidArgumentError)
        and (FROM_ITERATOR.search(str(error)) or _met_no_class(records, str(error)))
    )
    if may_be_shard and isinstance(records, RecordSet):
        require_whole_shards(records)
    if told := error if isinstance(error, DataError) else data_error_in(error):
        raise told


def _met_no_class(records: ExampleSet, message: str) -> bool:
    """Tell whether an error is about a label that is none of the classes."""
    found = WRONG_LABEL.search(message)
    num_classes = len(records.manifest.class_names)
    return found is not None and not 0 <= int(found[1]) < num_classes


@contextmanager
def reading(records: ExampleSet) -> Iterator[None]:
    """Raise a DataError for errors of the block that `records` caused.

    Raises:
        DataError: a shard is damaged, or a photo cannot be used.
    """
    try:
        yield
    except tf.errors.OpError as error:
        raise_data_error(records, error)
        raise
