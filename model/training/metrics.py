"""An epoch's figures: sums over the examples of every replica, part of a saved state.

Keras's metrics keep each replica's part and add them up when they are read. Saved and
restored the parts would be evened out, and the figures of a resumed epoch differ from
an unbroken one's in the last digits; here every replica holds the whole sums.
"""

from __future__ import annotations

import tensorflow as tf
from tensorflow import keras


class _Sums(keras.metrics.Metric):
    """A metric whose variables are the same on every replica."""

    def __init__(self, name: str) -> None:
        super().__init__(name, dtype=tf.float32)
        self.total = self._add_sum("total")

    def _add_sum(self, name: str) -> tf.Variable:
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        return self.add_weight(name, initializer="zeros", aggregation=first)


class Average(_Sums):
    """The mean over an epoch's examples so far."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.count = self._add_sum("count")

    def update_state(self, total: tf.Tensor, count: tf.Tensor) -> None:
        """Add a batch of all replicas: its values' sum, and how many they are."""
        self.total.assign_add(total)
        self.count.assign_add(count)

    def result(self) -> tf.Tensor:
        """float32 []; 0 before the first example."""
        return tf.math.divide_no_nan(self.total, self.count)


class Count(_Sums):
    """How often something has happened in an epoch so far."""

    def update_state(self, times: tf.Tensor) -> None:
        """Add what happened in a step, of which every replica knows."""
        self.total.assign_add(tf.cast(times, tf.float32))

    def result(self) -> tf.Tensor:
        """float32 []."""
        return tf.identity(self.total)


def over_replicas(sums: tf.Tensor) -> tf.Tensor:
    """The replicas' `sums` added up, on each of them."""
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, sums)
