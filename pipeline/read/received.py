"""Batches received from the workers of a data service, in the order of their numbers.

The workers make whichever batch is next. What is lost with a worker is made here, of
the same rows: so whatever workers come and go, the batches are those that this process
would have made alone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import tensorflow as tf

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.read.batch_arrivals import Arrival, BatchArrivals, JobLost
from alexnet.pipeline.read.calls import CALLS
from alexnet.pipeline.read.errors import reading
from alexnet.pipeline.read.example_set import ExampleSet
from alexnet.pipeline.read.worker_batches import OTHER_RECORDS, WorkerBatches
from alexnet.pipeline.service.address import Address
from alexnet.pipeline.service.servers import require_same_version, service

# How a worker's error says so, which comes as text.
NO_FILE = os.strerror(errno.ENOENT)
# Later batches to hold, at most, before one that is missing is made here.
MOST_AHEAD = 64


@dataclass(frozen=True)
class ReceivedBatches:
    """The batches that the workers of a dispatcher make."""

    records: ExampleSet
    batches: WorkerBatches
    dispatcher: Address
    ram_budget_bytes: int

    def dataset(self, first: int, end: int) -> tf.data.Dataset:
        """The images and labels of the batches from `first` up to `end`."""

        # Of which a process keeps every one that it has made for ever: it is small.
        def receive() -> Iterator[tuple[np.ndarray, ...]]:
            return CALLS.counted_steps(self._receive(first, end))

        return tf.data.Dataset.from_generator(
            receive, output_signature=self.batches.element_spec
        )

    def _receive(self, first: int, end: int) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield the batches, those that are lost made here.

        Raises:
            DataError: a shard is damaged, or a worker has not the records.
            ReadError: the service does not answer.
        """
        send = partial(self._send, end=end)
        sender = f"the data service at {self.dispatcher}"
        arrivals = BatchArrivals(send, first, end, self._most_ahead, sender)
        try:
            with reading(self.records), self._blaming_worker():
                for number in range(first, end):
                    batch = arrivals.take(number)
                    if batch is None:
                        batch = self.batches.make_one(number)
                    # Which share the tensors' memory.
                    yield tuple(map(np.asarray, batch))
        finally:
            arrivals.close()

    def _send(self, first: int, end: int) -> Iterator[Arrival]:
        """Yield numbers and batches as the workers send them, each at most once.

        Raises:
            JobLost: the dispatcher knows nothing of it; it was started again.
            ReadError: there is no dispatcher, or it is of another TensorFlow.
        """
        require_same_version(self.dispatcher)
        # Pixels are not worth the time that it takes to compress them.
        distribute = service.distribute(
            service.ShardingPolicy.DYNAMIC, self.dispatcher.url, compression=None
        )
        try:
            for number, *batch in self.batches.dataset(first, end).apply(distribute):
                yield int(number), batch
        except tf.errors.NotFoundError as error:
            if NO_FILE in str(error):
                raise
            raise JobLost from error

    @property
    def _most_ahead(self) -> int:
        batch_bytes = int(self.batches.element_spec[0].shape.num_elements())
        return max(2, min(MOST_AHEAD, self.ram_budget_bytes // batch_bytes))

    @contextmanager
    def _blaming_worker(self) -> Iterator[None]:
        """Say of an error that a worker has not the records, where that is it.

        Raises:
            DataError: it is.
        """
        try:
            yield
        except tf.errors.NotFoundError as error:
            self._blame_worker("does not find them", error)
        except tf.errors.InvalidArgumentError as error:
            if OTHER_RECORDS not in str(error):
                raise
            self._blame_worker("finds others there", error)

    def _blame_worker(self, what: str, error: tf.errors.OpError) -> None:
        raise DataError(
            f"the records are in {self.records.folder}, and a worker of the data"
            f" service at {self.dispatcher} {what}: {error.message}. Every worker reads"
            " them under the path that they have here: mount or copy them there, or"
            " stop that worker."
        ) from error
