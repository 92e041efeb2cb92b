"""The step of a training: augmentation, forward and backward pass, optimizer, metrics.

The image projection does not compile under XLA, so a step augments in the ordinary
graph, runs forward, loss and gradients in one inner function that may be compiled, and
applies the gradients outside again. It does so for one micro-batch after the other
where a replica's rows of the batch are more than its memory takes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow import keras

from alexnet.model.network.layers import batch_position
from alexnet.model.network.other_sides import at_sides
from alexnet.model.training.classifier import Classifier, compiled, without_autograph
from alexnet.model.training.loss import TrainingLoss, cross_entropy
from alexnet.model.training.loss_scale import LossScale
from alexnet.model.training.metrics import MetricSums
from alexnet.model.training.moving_average import AveragedClassifier
from alexnet.model.training.optimizer import Optimizer, trainable_weights
from alexnet.model.training.replicas import sum_over_replicas
from alexnet.pipeline.augment.augment import augment_batch, fold_seed, mixup_cutmix
from alexnet.pipeline.augment.device import HOST
from alexnet.pipeline.config import AugmentConfig
from alexnet.pipeline.setting import require

# Seeds of the step's draws and of dropout are apart.
DRAWS, DROPOUT = 0, 1


class TrainableClassifier(Classifier):
    """A classifier and what it is trained with; make it in the strategy's scope.

    Draws of a step belong to (seed, step) and to the row in the global batch: the same
    for a resumed run and for any number of replicas.
    """

    def __init__(
        self,
        network: keras.Model,
        augment: AugmentConfig,
        optimizer: Optimizer,
        *,
        loss_scale: LossScale | None = None,
        average: AveragedClassifier | None = None,
        loss: TrainingLoss = TrainingLoss(),
        global_batch: int = 1,
        accumulate: int = 1,
        other_sides: Sequence[int] = (),
        seed: int = 0,
        xla: bool = False,
    ) -> None:
        """Give a network what it is trained with.

        Args:
            optimizer: that of the network's trainable weights.
            average: what is evaluated, instead of the network as the last step left it.
            accumulate: micro-batches, by whose gradients together a step is taken.
            other_sides: sides of images that steps may take, besides the network's.

        Raises:
            ConfigError: replicas cannot have as many equal micro-batches.
        """
        super().__init__(network, augment, xla=xla)
        self.optimizer, self.loss_scale = optimizer, loss_scale
        self.average, self.loss = average, loss
        self.global_batch, self.accumulate = global_batch, accumulate
        self.seed = seed
        self.num_replicas = tf.distribute.get_strategy().num_replicas_in_sync
        is_even = global_batch % (self.num_replicas * accumulate) == 0
        needs = f"a multiple of `accumulate={accumulate}` x {self.num_replicas} devices"
        require(accumulate == 1 or is_even, "batch_size", global_batch, needs)
        self._networks = at_sides(network, other_sides) if other_sides else {}
        self.metrics = MetricSums()
        gradients: Any = self._compute_gradients
        self._gradients = compiled(gradients) if xla else gradients

    def network_for(self, side: int) -> keras.Model:
        """The network for images of a side, one of those that steps may take."""
        return self._networks.get(side, self.network)

    @without_autograph
    def train_step(
        self,
        batch: tuple[tf.Tensor, tf.Tensor],
        step: tf.Tensor | int,
        side: int | None = None,
    ) -> tf.Tensor:
        """Take one optimizer step on a replica's rows of the global batch.

        The step's number decides its draws and its rate, which the host makes: it has
        to be there, or the host would wait until the device has taken the step before.
        The images become those of `side`, by default the network's. Returns the losses,
        float32 [batch].
        """
        images, labels = batch
        side = side or self.side
        with tf.device(HOST):
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            first_row = tf.cast(replica, tf.int32) * tf.shape(images)[0]
        losses, hits, gradients = self._run_replica(
            images, labels, side, step, first_row
        )
        skipped = self._apply(sum_over_replicas(gradients), step)
        if self.average:
            self.average.follow(self.network, step)
        self.metrics.add(losses, hits, tf.ones_like(losses), skipped)
        return losses

    def _run_replica(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        side: int,
        step: tf.Tensor | int,
        first_row: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Losses and hits, float32 [batch], and the gradients of a replica's rows."""
        if self.accumulate == 1:
            return self._run_rows(images, labels, side, step, first_row)
        count = (images.shape[0] or tf.shape(images)[0]) // self.accumulate
        losses, hits = [], []
        sums: list[tf.Tensor] = []
        for number in range(self.accumulate):
            rows = slice(number * count, (number + 1) * count)
            # One after the other: memory has to hold the activations of one alone.
            with tf.control_dependencies(sums):
                more_losses, more_hits, gradients = self._run_rows(
                    images[rows], labels[rows], side, step, first_row + number * count
                )
                sums = list(map(tf.add, sums, gradients)) if sums else gradients
            losses.append(more_losses)
            hits.append(more_hits)
        return tf.concat(losses, 0), tf.concat(hits, 0), sums

    def _run_rows(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        side: int,
        step: tf.Tensor | int,
        first_row: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Losses and hits, float32 [rows], and the gradients of rows run at once."""
        draws = fold_seed(self.seed, DRAWS, step)
        view = augment_batch(
            images, self.augment, side, draws, first_row, self.global_batch
        )
        targets = labels
        if self._uses_one_hot():
            targets = tf.one_hot(labels, self.num_classes)
            view, targets = mixup_cutmix(
                view, targets, self.augment, draws, first_row, self.global_batch
            )
        losses, logits, gradients = self._gradients(view, targets, step, first_row)
        return losses, _hits(labels, logits), gradients

    def _uses_one_hot(self) -> bool:
        mixes = self.augment.mixup > 0 or self.augment.cutmix > 0
        return self.loss.needs_one_hot or mixes

    def _compute_gradients(
        self,
        view: tf.Tensor,
        targets: tf.Tensor,
        step: tf.Tensor | int,
        first_row: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Losses float32 [batch], logits, and gradients, scaled where float16 asks."""
        position = batch_position(
            self.seed + DROPOUT, step, first_row, self.global_batch
        )
        with tf.GradientTape() as tape, position:
            logits = self.run_network(view, training=True)
            losses = self.loss(targets, logits)
            # Replicas' gradients are summed: each takes its share of the global mean.
            loss = tf.reduce_sum(losses) / self.global_batch
            if penalties := self.network.losses:  # of regularizers, each time it runs
                loss += tf.add_n(penalties) / (self.num_replicas * self.accumulate)
            if self.loss_scale:
                loss *= self.loss_scale.scale
        return losses, logits, tape.gradient(loss, trainable_weights(self.network))

    def _apply(
        self, gradients: list[tf.Tensor], step: tf.Tensor | int
    ) -> tf.Tensor | bool:
        """Let the optimizer take a step; true where loss scaling has skipped it."""
        if self.loss_scale:
            return self.loss_scale.apply(self.optimizer, gradients, step)
        self.optimizer.apply(gradients, step)
        return False

    @without_autograph
    def test_step(self, batch: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> None:
        """Add a batch of images, labels and weights (0 is padding) to the metrics."""
        images, labels, weights = batch
        logits = (self.average or self).eval_logits(images)
        losses = cross_entropy(labels, logits)
        self.metrics.add(losses, _hits(labels, logits), weights)


def _hits(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """float32 [batch]: 1 where the likeliest class is the label."""
    return tf.cast(tf.argmax(logits, axis=1) == labels, tf.float32)
