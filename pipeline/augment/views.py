"""Test-time augmentation: the views of a picture that a network is asked about."""

from __future__ import annotations

import tensorflow as tf

from alexnet.pipeline.augment.affine import scaled_side
from alexnet.pipeline.augment.augment import CENTRE, preprocess_batch
from alexnet.pipeline.augment.yuv import stored_side_of
from alexnet.pipeline.config import AugmentConfig, Tta
from alexnet.pipeline.errors import ConfigError

CORNERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))


def evaluation_views(
    images: tf.Tensor, config: AugmentConfig, side: int, tta: Tta
) -> list[tf.Tensor]:
    """Return the views of a batch, each as `preprocess_batch` returns its one.

    That one and its mirror image for `flip`; for `ten-crop` the four corners and theirs
    as well (Krizhevsky 2012, section 4.1).

    Raises:
        ConfigError: the network sees the whole picture, which has no corners to crop.
    """
    stored_side = stored_side_of(images)
    scaled = scaled_side(stored_side, side, config.evaluation_geometry)
    if tta == "ten-crop" and scaled == side:
        raise ConfigError(
            "`tta='ten-crop'` crops corners, and this network sees all of a picture:"
            f" {side} px of {stored_side} px. `tta='flip'` mirrors it."
        )
    places = [CENTRE, *CORNERS] if tta == "ten-crop" else [CENTRE]
    views = [preprocess_batch(images, config, side, place) for place in places]
    mirrored = [] if tta == "none" else [tf.reverse(view, [2]) for view in views]
    return views + mirrored
