"""The signatures of an exported classifier: what is sent to it, and what it answers.

Each carries its preprocessing: a client sends files, pictures of any size, or what the
network itself takes, always in levels from 0 to 255.
"""

from __future__ import annotations

import tensorflow as tf

from alexnet.model.results.picture import decode_square
from alexnet.model.results.resample import to_square
from alexnet.model.training.classifier import Classifier
from alexnet.model.training.run_config import RunConfig
from alexnet.pipeline.augment.device import HOST
from alexnet.pipeline.records.manifest import label_line

Answer = dict[str, tf.Tensor]


class ServedNetwork(tf.Module):
    """The network with its normalisation, and no more: what converters understand."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.network = classifier.network  # its variables are saved with the module
        self._augment = classifier.augment
        side = classifier.side
        images = tf.TensorSpec([None, side, side, 3], tf.uint8, name="images")
        self.network_pixels = tf.function(self._classify, input_signature=[images])

    def _classify(self, images: tf.Tensor) -> Answer:
        """Probabilities float32 [batch, classes] of the network's own input, uint8."""
        mean, std = tf.constant(self._augment.mean), tf.constant(self._augment.std)
        view = (tf.cast(images, tf.float32) - mean) / std
        return {"probabilities": tf.nn.softmax(self.network(view, training=False))}


class ServedClassifier(ServedNetwork):
    """The classifier as it is served: files or pictures in, probabilities out."""

    def __init__(self, classifier: Classifier, config: RunConfig) -> None:
        super().__init__(classifier)
        self._probabilities = classifier.__call__
        self._side, self._resize = config.stored_side, config.resize
        self._class_names = [label_line(name) for name in config.class_names]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="images")])
    def files(self, images: tf.Tensor) -> Answer:
        """Answers for the bytes of image files, which it shows as `predict` does.

        An image of a kind that it would show otherwise is an InvalidArgumentError that
        names the image and its kind.
        """
        with tf.device(HOST):
            squares, refusals = tf.map_fn(
                lambda file: decode_square(file, self._side, self._resize),
                images,
                fn_output_signature=(self._square_spec, tf.TensorSpec([], tf.string)),
            )
            _require_none(refusals)
        return self._answer(squares)

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")]
    )
    def pixels(self, images: tf.Tensor) -> Answer:
        """Answers for upright RGB pictures, uint8 [batch, height, width, 3].

        A JPEG much larger than the network is not the one that `predict` sees, which
        scales it while decoding: send its bytes to be answered as by that.
        """
        with tf.device(HOST):
            squares = tf.map_fn(
                lambda image: to_square(image, self._side, self._resize),
                images,
                fn_output_signature=self._square_spec,
            )
        return self._answer(squares)

    @property
    def _square_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([self._side, self._side, 3], tf.uint8)

    def _answer(self, squares: tf.Tensor) -> Answer:
        probabilities = self._probabilities(squares)
        best = tf.argmax(probabilities, axis=1)
        names = tf.gather(tf.constant(self._class_names), best)
        return {"probabilities": probabilities, "class_name": names}


def _require_none(refusals: tf.Tensor) -> None:
    """Fail with the first refusal of a batch, string [batch], that is not empty."""
    place = tf.where(refusals != "")[:1, 0]
    reason = tf.strings.join(
        ["image ", tf.strings.as_string(place), ": ", tf.gather(refusals, place)]
    )
    tf.debugging.Assert(tf.size(place) == 0, [tf.strings.reduce_join(reason)])
