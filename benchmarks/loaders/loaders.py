"""What the pipeline is measured against, by the names that `against` takes.

`article` is Keras's ImageDataGenerator, `plain` untuned tf.data; the others are loaders
of the field, each in an environment of its own.
"""

from __future__ import annotations

from alexnet.benchmarks.loaders.article import plan_article
from alexnet.benchmarks.loaders.peer import PEERS, plan_peer
from alexnet.benchmarks.loaders.plain import plan_plain
from alexnet.benchmarks.measure import Timing
from alexnet.pipeline.config import require
from alexnet.pipeline.read.opened_records import OpenedRecords


def require_rivals(names: tuple[str, ...]) -> None:
    """Check the names, each of which may stand there once.

    Raises:
        ConfigError: a name is unknown, or given twice.
    """
    known = ("article", "plain", *PEERS)
    for name in names:
        require(name in known, "against", name, "one of " + ", ".join(known))
        require(names.count(name) == 1, "against", name, "to be named once")


def plan_rival(name: str, records: OpenedRecords, batch_size: int) -> Timing:
    """How to time a rival on a record set's train photos.

    Raises:
        ConfigError: what it needs is not installed.
    """
    if name == "article":
        return plan_article(records)
    if name == "plain":
        return plan_plain(records, batch_size)
    return plan_peer(name, records, batch_size)
