"""Weights that fit a network or do not, and layers that are frozen."""

from __future__ import annotations

import numpy as np
import pytest
from tensorflow import keras

from alexnet.model.network.named_weights import (
    fingerprint,
    freeze_layers,
    named_arrays,
    set_weights,
)
from alexnet.pipeline.errors import ConfigError


def network(classes: int = 2, hidden: int = 3, prefix: str = "") -> keras.Model:
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(hidden, name=f"{prefix}hidden")]
    )
    inputs = keras.Input((4,))
    normed = keras.layers.BatchNormalization(name=f"{prefix}norm")(inner(inputs))
    head = keras.layers.Dense(classes, name=f"{prefix}head")
    return keras.Model(inputs, head(normed))


NAMES = ["hidden/kernel", "hidden/bias"]
NAMES += [f"norm/{name}" for name in ("gamma", "beta", "moving_mean")]
NAMES += ["norm/moving_variance", "head/kernel", "head/bias"]


@pytest.mark.parametrize("prefix", ["", "other_"])
def test_by_name_or_else_by_order(prefix: str) -> None:
    """Keras gives layers without a name other numbers in every network."""
    ours, theirs = network(), network(prefix=prefix)
    arrays = named_arrays(theirs)
    assert list(arrays) == [prefix + name for name in NAMES]
    assert set_weights(ours, arrays, "theirs") == ()
    for found, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("classes", "other_classes"), [(5, False), (2, True)])
def test_a_head_of_other_classes_stays_fresh(classes: int, other_classes: bool) -> None:
    ours, theirs = network(), network(classes)
    before = ours.get_layer("head").get_weights()
    assert set_weights(ours, named_arrays(theirs), "theirs", other_classes) == ("head",)
    np.testing.assert_array_equal(ours.get_layer("head").get_weights()[0], before[0])
    np.testing.assert_array_equal(ours.get_weights()[0], theirs.get_weights()[0])


def test_what_does_not_fit_is_told_with_layers_and_shapes() -> None:
    ours, before = network(), network().get_weights()
    arrays = named_arrays(network(hidden=7))
    del arrays["norm/gamma"]
    arrays["extra/kernel"] = np.zeros((2, 2), np.float32)
    arrays["more/kernel"] = np.zeros((2, 2), np.float32)
    with pytest.raises(ConfigError) as error:
        set_weights(ours, arrays, "file.npz")
    text = str(error.value)
    assert "file.npz does not fit the network: hidden/kernel is 4x7 there and" in text
    assert "4x3 here" in text and "norm/gamma is missing there and 3 here" in text
    assert len(ours.get_weights()) == len(before)


def test_fingerprints_tell_weights_apart() -> None:
    arrays = named_arrays(network())
    changed = {**arrays, "head/bias": arrays["head/bias"] + 1}
    assert fingerprint(arrays) == fingerprint(dict(arrays)) != fingerprint(changed)
    assert len(fingerprint(arrays)) == 64


def test_frozen_layers() -> None:
    ours = network()
    freeze_layers(ours, ("hidden", "norm"))
    assert len(ours.trainable_weights) == 2
    with pytest.raises(
        ConfigError, match=r"no layer 'hiden' .* nearest name is hidden"
    ):
        freeze_layers(ours, ("hiden",))
    with pytest.raises(ConfigError, match="every layer, so that nothing learns"):
        freeze_layers(ours, ("head",))
