"""Replicas of a strategy: what they add up, and what every one of them holds."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def sum_over_replicas(tensors: Any) -> Any:
    """Tensors of the same structure, each added up over all replicas."""
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def replicated_variable(value: Any, dtype: tf.DType) -> tf.Variable:
    """A variable of which every replica holds, and keeps to, the same value."""
    first = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(value, trainable=False, dtype=dtype, aggregation=first)
