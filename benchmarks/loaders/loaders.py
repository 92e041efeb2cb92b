"""Other loaders, by the names that `against` takes.

`article` is Keras's ImageDataGenerator, `plain` untuned tf.data; the others are loaders
of the field, each in an environment of its own.
"""

from __future__ import annotations

from alexnet.benchmarks.loaders.article import plan_article
from alexnet.benchmarks.loaders.environment import plan_script
from alexnet.benchmarks.loaders.plain import plan_plain
from alexnet.benchmarks.measure import Timing
from alexnet.pipeline.read.opened_records import OpenedRecords


def plan_loader(name: str, records: OpenedRecords, batch_size: int) -> Timing:
    """The timing of a loader on a record set's train photos.

    Raises:
        ConfigError: what it needs is not installed, or the photos do not suit it.
    """
    if name == "article":
        return plan_article(records)
    if name == "plain":
        return plan_plain(records, batch_size)
    return plan_script(name, records, batch_size)
