"""The Keras model that `fit` trains: augmentation, network, loss and gradients.

A uint8 batch goes in. The image projection does not compile under XLA, so a step
augments in the ordinary graph, runs forward, loss and gradients in one inner function
that may be compiled, and applies the gradients outside again.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import Loss
from alexnet.model.network.layers import batch_position
from alexnet.model.training.metrics import Average, Count, over_replicas
from alexnet.pipeline.augment.augment import (
    augment_batch,
    fold_seed,
    mixup_cutmix,
    preprocess_batch,
)
from alexnet.pipeline.config import AugmentConfig

# Seeds of the step's draws and of dropout are apart.
DRAWS, DROPOUT = 0, 1
# A step has no Python to turn into a graph; looking for some took most of a start.
without_autograph = tf.autograph.experimental.do_not_convert


class InputClock:
    """Seconds that training steps have waited for batches since the last reset."""

    def __init__(self) -> None:
        with tf.device("CPU:0"):
            self._seconds = tf.Variable(0.0, trainable=False, dtype=tf.float64)

    def timed_next(self, iterator: Any) -> Any:
        """The iterator's next element, its waiting time added, inside a tf.function."""
        before = tf.timestamp()
        with tf.control_dependencies([before]):
            batch = next(iterator)
        arrived = tf.nest.flatten(batch, expand_composites=True)
        with tf.control_dependencies(arrived):
            self._seconds.assign_add(tf.timestamp() - before)
        return batch

    def take(self) -> float:
        """The seconds so far; the clock starts again at 0."""
        seconds = float(self._seconds.numpy())
        self._seconds.assign(0.0)
        return seconds


class Classifier(keras.Model):
    """A network that takes uint8 batches [batch, S, S, 3] and gives probabilities.

    Draws of a step belong to (seed, step) and to the row in the global batch: the same
    for a resumed run and for any number of replicas.
    """

    def __init__(
        self,
        network: keras.Model,
        augment: AugmentConfig,
        *,
        loss: Loss = "sparse",
        global_batch: int = 1,
        seed: int = 0,
        xla: bool = False,
    ) -> None:
        super().__init__(name="classifier")
        self.network = network
        self.augment = augment
        self.side = network.input_shape[1]
        self.num_classes = network.output_shape[-1]
        self.loss_name = loss
        self.global_batch = global_batch
        self.seed = seed
        self.clock = InputClock()
        self.train_function: Any = None
        self.loss_mean, self.accuracy = Average("loss"), Average("accuracy")
        self.skipped_steps = Count("skipped_steps")
        self._gradients = self._compute_gradients
        self._logits = self._compute_logits
        if xla:
            self._gradients = _compiled(self._gradients)
            self._logits = _compiled(self._logits)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What Keras resets at the start of an epoch and of an evaluation."""
        return [*self._means, *([self.skipped_steps] if self._scales_loss() else [])]

    @property
    def _means(self) -> list[Average]:
        return [self.loss_mean, self.accuracy]

    @property
    def metric_variables(self) -> list[tf.Variable]:
        """What the metrics have added up so far."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Probabilities float32 [batch, classes] of uint8 [batch, S, S, 3]."""
        return tf.nn.softmax(self.eval_logits(images))

    @without_autograph
    def eval_logits(self, images: tf.Tensor) -> tf.Tensor:
        """Logits float32 [batch, classes] of uint8 [batch, S, S, 3]."""
        return self._logits(preprocess_batch(images, self.augment, self.side))

    def _compute_logits(self, view: tf.Tensor) -> tf.Tensor:
        return self.network(self._cast(view), training=False)

    def _cast(self, view: tf.Tensor) -> tf.Tensor:
        return tf.cast(view, self.network.input.dtype)

    @without_autograph
    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One optimizer step on one replica's rows of the global batch."""
        images, labels = data
        step = self.optimizer.iterations
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        first_row = tf.cast(replica, tf.int32) * tf.shape(images)[0]
        draws = fold_seed(self.seed, DRAWS, step)
        view = augment_batch(
            images, self.augment, self.side, draws, first_row, self.global_batch
        )
        targets = labels
        if self._uses_one_hot():
            targets = tf.one_hot(labels, self.num_classes)
            view, targets = mixup_cutmix(
                view, targets, self.augment, draws, first_row, self.global_batch
            )
        losses, logits, gradients = self._gradients(view, targets, step, first_row)
        self._apply(gradients)
        self._count(losses, labels, logits, tf.ones_like(losses))
        return {metric.name: metric.result() for metric in self.metrics}

    def _uses_one_hot(self) -> bool:
        mixes = self.augment.mixup > 0 or self.augment.cutmix > 0
        return self.loss_name == "one-hot" or mixes

    def _compute_gradients(
        self,
        view: tf.Tensor,
        targets: tf.Tensor,
        step: tf.Tensor,
        first_row: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Losses float32 [batch], logits, and gradients, scaled where float16 asks."""
        position = batch_position(
            self.seed + DROPOUT, step, first_row, self.global_batch
        )
        with tf.GradientTape() as tape, position:
            logits = self.network(self._cast(view), training=True)
            losses = cross_entropy(targets, logits)
            # Replicas' gradients are summed: each takes its share of the global mean.
            loss = tf.reduce_sum(losses) / self.global_batch
            if self._scales_loss():
                loss = self.optimizer.get_scaled_loss(loss)
        variables = self.network.trainable_variables
        return losses, logits, tape.gradient(loss, variables)

    def _scales_loss(self) -> bool:
        # Before it is compiled, the classifier has no optimizer.
        optimizer = getattr(self, "optimizer", None)
        return isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer)

    def _apply(self, gradients: list[tf.Tensor]) -> None:
        variables, optimizer = self.network.trainable_variables, self.optimizer
        if not self._scales_loss():
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            return
        gradients = optimizer.get_unscaled_gradients(gradients)
        scale = optimizer.loss_scale
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        # Keras says of a skipped step only this: its count of good steps begins anew,
        # as it does where the scale grows.
        skipped = (optimizer.dynamic_counter == 0) & (optimizer.loss_scale <= scale)
        self.skipped_steps.update_state(skipped)

    def _count(
        self,
        losses: tf.Tensor,
        labels: tf.Tensor,
        logits: tf.Tensor,
        weights: tf.Tensor,
    ) -> None:
        """Add a batch to the means, that of all replicas at once."""
        hits = tf.cast(tf.argmax(logits, axis=1) == labels, tf.float32)
        sums = tf.reduce_sum(tf.stack([losses, hits, tf.ones_like(hits)]) * weights, 1)
        loss, correct, count = tf.unstack(over_replicas(sums))
        self.loss_mean.update_state(loss, count)
        self.accuracy.update_state(correct, count)

    @without_autograph
    def test_step(self, data: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        """Adds a batch with weights (0 is padding) to the metrics."""
        images, labels, weights = data
        logits = self.eval_logits(images)
        self._count(cross_entropy(labels, logits), labels, logits, weights)
        return {metric.name: metric.result() for metric in self._means}

    def make_train_function(self, force: bool = False) -> Any:
        """Keras's training function, with the waiting for input timed."""
        if self.train_function is None or force:

            @without_autograph
            def one_step(iterator: Any) -> Any:
                batch = self.clock.timed_next(iterator)
                strategy = self.distribute_strategy
                results = strategy.run(self.train_step, args=(batch,))
                return tf.nest.map_structure(
                    lambda value: strategy.experimental_local_results(value)[0], results
                )

            def several_steps(iterator: Any) -> Any:
                for _ in tf.range(self._steps_per_execution - 1):
                    one_step(iterator)
                return one_step(iterator)

            several = self._steps_per_execution.numpy() > 1
            made = several_steps if several else one_step
            self.train_function = tf.function(made, reduce_retracing=True)
            self.train_tf_function = self.train_function
        return self.train_function


def _compiled(function: Any) -> Any:
    return tf.function(function, jit_compile=True, autograph=False)


def cross_entropy(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """float32 [batch]; targets int64 [batch] or one-hot float32 [batch, classes]."""
    if targets.dtype.is_integer:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)
