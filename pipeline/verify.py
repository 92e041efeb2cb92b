"""Whether the shards of a record set still hold what was written."""

from __future__ import annotations

import tensorflow as tf

from pipeline.errors import DataError
from pipeline.example import FOOTER_BYTES, HEADER_BYTES
from pipeline.reader import RecordSet


def require_whole_shards(records: RecordSet) -> None:
    """Read every shard through, checksums included.

    Raises:
        DataError: one is damaged; the message names the shard, the record and its byte.
    """
    for split, card in records.manifest.splits.items():
        for path in records.paths(split) if card.num_examples else []:
            read = offset = 0
            try:
                for record in tf.data.TFRecordDataset(path):
                    read += 1
                    offset += HEADER_BYTES + len(record.numpy()) + FOOTER_BYTES
            except tf.errors.DataLossError as error:
                raise DataError(
                    f"{path} is damaged at record {read}, byte {offset}. Build the"
                    " records again with --overwrite."
                ) from error
