"""Draws that tests begin from."""

from __future__ import annotations

import tensorflow as tf

from alexnet.pipeline.augment.affine import AffineDraw


def identity_draw(batch: int) -> AffineDraw:
    """It moves nothing: the centre crop, or the whole picture."""
    zeros, ones = tf.zeros([batch]), tf.ones([batch])
    return AffineDraw(zeros, zeros, zeros, zeros, ones, ones, zeros, zeros)
