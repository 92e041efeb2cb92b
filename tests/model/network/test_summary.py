"""The article's printed layer table, row by row, and the summary's JSON."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
import tensorflow as tf

from alexnet.model.config import NetworkConfig, Variant
from alexnet.model.network.alexnet import build_network
from alexnet.model.network.summary import forward_flops, summarize, training_flops
from tests.conftest import slow

# Type, output shape, parameters: as the article's `model.summary()` prints them.
ARTICLE = [
    ("Conv2D", (55, 55, 96), 34_944),
    ("MaxPooling2D", (27, 27, 96), 0),
    ("Conv2D", (27, 27, 256), 614_656),
    ("MaxPooling2D", (13, 13, 256), 0),
    ("BatchNormalization", (13, 13, 256), 1_024),
    ("Conv2D", (13, 13, 384), 885_120),
    ("Conv2D", (13, 13, 384), 1_327_488),
    ("Conv2D", (13, 13, 256), 884_992),
    ("MaxPooling2D", (6, 6, 256), 0),
    ("Flatten", (9_216,), 0),
    ("Dense", (4_096,), 37_752_832),
    ("Dropout", (4_096,), 0),
    ("Dense", (4_096,), 16_781_312),
    ("Dropout", (4_096,), 0),
    ("Dense", (2,), 8_194),
]
NAMES = (
    "conv1 pool1 conv2 pool2 norm2 conv3 conv4 conv5 pool5"
    " flatten dense6 dropout6 dense7 dropout7 dense8"
)


def summary_of(**options: Any) -> Any:
    config = NetworkConfig(**options)
    return summarize(build_network(config), config)


def test_the_articles_table_row_by_row() -> None:
    summary = summary_of(variant="article")
    rows = [(row.type, row.output_shape, row.parameters) for row in summary.layers]
    assert rows == ARTICLE
    assert [row.name for row in summary.layers] == NAMES.split()
    assert summary.parameters == 58_290_562
    assert summary.trainable_parameters == 58_290_050


@pytest.mark.parametrize("variant", get_args(Variant))
def test_rows_add_up_and_no_change_of_shape_is_left_out(variant: Any) -> None:
    config = NetworkConfig(variant=variant, num_classes=3, image_size=67, width=0.05)
    network = build_network(config)
    summary = summarize(network, config)
    assert (summary.variant, summary.num_classes) == (variant, 3)
    assert sum(row.parameters for row in summary.layers) == summary.parameters
    named = {row.name: row for row in summary.layers}
    for layer in network.layers[1:]:  # the first one is the input
        if layer.weights or layer.output.shape != layer.input.shape:
            assert named[layer.name].output_shape == tuple(layer.output.shape[1:])
    assert summary.layers[-1].output_shape == (3,)


def test_json() -> None:
    summary = summary_of(variant="paper", image_size=67, width=0.05)
    values = summary.to_json()
    assert json.loads(json.dumps(values)) == values
    assert list(values) == [
        *("variant", "num_classes", "layers", "parameters", "trainable_parameters")
    ]
    assert values["layers"][0] == {
        "name": "conv1",
        "type": "Conv2D",
        "output_shape": [15, 15, 4],
        "parameters": 11 * 11 * 3 * 4 + 4,
    }
    assert values["layers"][1]["type"] == "LocalResponseNorm"


@pytest.mark.parametrize(
    "variant",
    [name if name == "paper" else slow(name) for name in get_args(Variant)],
)
def test_flops_are_those_of_tensorflows_profiler(variant: Any) -> None:
    """It also counts biases, batch norm and pooling, which are a thousandth."""
    network = build_network(NetworkConfig(variant=variant, num_classes=10))
    images = tf.TensorSpec([1, *network.input_shape[1:]])
    graph = tf.function(network).get_concrete_function(images).graph
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(
        profiler.ProfileOptionBuilder.float_operation()
    )
    profiled = profiler.profile(graph, options=options.with_empty_output().build())
    assert 0.998 < forward_flops(network) / profiled.total_float_ops < 1


def test_training_flops_of_the_article_by_hand() -> None:
    """Positions x window x channels, and every dense layer's weights, as multiply-adds.

    The first convolution gives no gradient of its inputs.
    """
    conv1 = 55**2 * 11**2 * 3 * 96
    others = 27**2 * 5**2 * 96 * 256
    others += 13**2 * 3**2 * (256 * 384 + 384 * 384 + 384 * 256)
    others += 9216 * 4096 + 4096 * 4096 + 4096 * 2
    network = build_network(NetworkConfig())
    assert forward_flops(network) == 2 * (conv1 + others)
    assert training_flops(network) == 2 * (2 * conv1 + 3 * others)
