"""Augmentation for networks and loops of one's own: a Keras layer, and dataset maps.

Draws belong to (seed, step), as in `alexnet fit`, and a step's batch can be augmented
on any device, in any order and by any number of replicas.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow import keras

from alexnet.pipeline.augment.augment import (
    augment_batch,
    fold_seed,
    mixup_cutmix,
    preprocess_batch,
)
from alexnet.pipeline.augment.device import HOST
from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.config import AugmentConfig
from alexnet.pipeline.setting import require


@keras.utils.register_keras_serializable("alexnet")
class Augment(keras.layers.Layer):
    """Augment and normalise stored batches: uint8 in, the network's float images out.

    Takes RGB, uint8 [batch, S, S, 3] in [0, 255], or the planes of yuv420, uint8
    [batch, 3 S / 2, S]; returns [batch, size, size, 3] in the layer's compute dtype.
    Evaluation (`training=False`) takes the centre crop, normalised alike.

    In front of a network, on the device that trains:

        model = keras.Sequential([alexnet.Augment("paper", size=224), network])

    Each training batch takes the next step, which `step` counts and a saved model
    keeps. As Keras's own augmentation it is on unless told: `fit`, `evaluate` and
    `predict` tell, a call should (`model(images, training=False)`). Mixup and cutmix
    need labels, which a network does not see: images alone are not mixed.

    On a dataset, with labels and sample weights that are mixed as their images are:

        train = alexnet.Augment("modern", size=224, classes=10).map(train)

    There a batch's step is its number in the dataset: the draws are the same for any
    number of parallel calls, and those of a dataset that begins at step n are the ones
    of `map(dataset, start_step=n)`. Repeat a dataset before, and not after: what is
    repeated after draws the same again. In a loop of one's own, give the step:
    `augment(images, labels, step=step)`.

    `dataset.map(augment)` works, counts calls, and repeats none over the epochs; but
    parallel calls share out the steps by chance, and resuming is not exact.

    Args:
        augmentation: the name of a preset, or an `AugmentConfig`.
        size: side of the images that come out, in pixels.
        seed: seed of all draws.
        classes: number of classes. Labels int [batch] become float32 [batch, classes],
            in evaluation too; without it they are left as they are, unless mixed.

    Raises:
        ConfigError: there is no such preset, the pictures are not square or smaller
            than a crop, or int labels are to be mixed without `classes`.
    """

    # Draws of mixup are no operations that XLA compiles.
    supports_jit = False

    def __init__(
        self,
        augmentation: str | AugmentConfig,
        *,
        size: int,
        seed: int = 21,
        classes: int | None = None,
        **layer_settings: Any,
    ) -> None:
        super().__init__(autocast=False, **layer_settings)
        if isinstance(augmentation, str):
            augmentation = preset(augmentation)
        require(size >= 1, "size", size, "1 pixel or more")
        self.augmentation, self.size = augmentation, size
        self.seed, self.classes = seed, classes
        with tf.device(HOST):
            # Each replica counts its own calls, which are as many.
            self.step = tf.Variable(
                0,
                trainable=False,
                dtype=tf.int64,
                name="step",
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )

    def call(
        self,
        images: tf.Tensor,
        labels: tf.Tensor | None = None,
        weights: tf.Tensor | None = None,
        training: bool = True,
        step: int | tf.Tensor | None = None,
    ) -> Any:
        """Return the images, or as many of (images, labels, weights) as were given.

        Args:
            images: uint8 [batch, S, S, 3] or [batch, 3 S / 2, S].
            labels: int [batch], or float [batch, classes].
            weights: sample weights, float [batch].
            training: False for the centre crop, without draws.
            step: the training step, instead of the layer's own count.
        """
        labels = self._one_hot(labels)
        if training:
            step = self._next_step() if step is None else step
            images, labels, weights = self._augment(images, labels, weights, step)
        else:
            images = preprocess_batch(images, self.augmentation, self.size)
        batch = (tf.cast(images, self.compute_dtype), labels, weights)
        given = tuple(part for part in batch if part is not None)
        return given if len(given) > 1 else given[0]

    def map(self, dataset: tf.data.Dataset, *, start_step: int = 0) -> tf.data.Dataset:
        """Augment a training dataset of images, (images, labels) or with weights.

        Args:
            dataset: batches, repeated before if they are to be repeated.
            start_step: the step of the dataset's first batch.
        """

        def augment(step: tf.Tensor, batch: Any) -> Any:
            parts = batch if isinstance(batch, tuple) else (batch,)
            return self(*parts, training=True, step=step)

        return dataset.enumerate(start_step).map(augment, tf.data.AUTOTUNE)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the shape of the images that come out."""
        return (input_shape[0], self.size, self.size, 3)

    def get_config(self) -> dict[str, Any]:
        """Return the settings as plain values, for `from_config`."""
        return {
            **super().get_config(),
            "augmentation": self.augmentation.to_json(),
            "size": self.size,
            "seed": self.seed,
            "classes": self.classes,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Augment:
        """Return the layer of `get_config`."""
        augmentation = AugmentConfig.from_json(config["augmentation"])
        return cls(**{**config, "augmentation": augmentation})

    def save_own_variables(self, store: Any) -> None:
        """Keep the count of steps."""
        store["step"] = self.step.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Go on from a count that was kept."""
        self.step.assign(store["step"][()])

    def _next_step(self) -> tf.Tensor:
        return self.step.assign_add(1) - 1

    def _one_hot(self, labels: Any) -> tf.Tensor | None:
        if labels is None:
            return None
        labels = tf.convert_to_tensor(labels)
        if labels.dtype.is_integer and self.classes is not None:
            return tf.one_hot(labels, self.classes)
        return labels

    def _augment(
        self,
        images: tf.Tensor,
        labels: tf.Tensor | None,
        weights: tf.Tensor | None,
        step: int | tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor | None, tf.Tensor | None]:
        seed = fold_seed(self.seed, step)
        first_row, total_rows = _rows(images)
        config = self.augmentation
        images = augment_batch(images, config, self.size, seed, first_row, total_rows)
        if labels is None or not (config.mixup or config.cutmix):
            return images, labels, weights
        require(
            labels.shape.rank == 2,
            "the labels' shape",
            labels.shape,
            "[batch, classes] to be mixed; give `Augment` the number of `classes`",
        )
        targets = [tf.cast(labels, tf.float32)]
        if weights is not None:
            targets.append(tf.cast(weights, tf.float32)[:, None])
        images, mixed = mixup_cutmix(
            images, tf.concat(targets, 1), config, seed, first_row, total_rows
        )
        if weights is None:
            return images, mixed, None
        return images, mixed[:, :-1], mixed[:, -1]


def _rows(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return a replica's first row in the global batch, and the batch's rows."""
    rows, replica = tf.shape(images)[0], tf.distribute.get_replica_context()
    if replica is None:  # A dataset's batch, before it is shared out.
        return tf.constant(0), rows
    number = tf.cast(replica.replica_id_in_sync_group, tf.int32)
    return number * rows, rows * replica.num_replicas_in_sync
