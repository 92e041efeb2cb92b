"""A known error is told from what TensorFlow makes of it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from alexnet.pipeline.errors import ConfigError, DataError, data_error_in


def raised_inside_tf_data(error: Exception) -> Exception:
    """What comes out of a dataset whose Python function raises `error`."""

    def fail(_: np.ndarray) -> np.ndarray:
        try:
            raise KeyError("its cause")
        except KeyError as cause:
            raise error from cause

    dataset = tf.data.Dataset.range(1).map(
        lambda row: tf.numpy_function(fail, [row], tf.int64)
    )
    with pytest.raises(tf.errors.OpError) as found:
        list(dataset)
    return found.value


@pytest.mark.parametrize(
    "message", ["a.jpg is cut. Mend it.", "two\nlines: größe", "Traceback of a kind"]
)
def test_a_data_error_is_found_with_its_message(message: str) -> None:
    told = data_error_in(raised_inside_tf_data(DataError(message)))
    assert isinstance(told, DataError)
    assert str(told) == message


@pytest.mark.parametrize("error", [ValueError("a DataError"), ConfigError("x")])
def test_other_errors_are_none(error: Exception) -> None:
    assert data_error_in(raised_inside_tf_data(error)) is None
    assert data_error_in(error) is None
