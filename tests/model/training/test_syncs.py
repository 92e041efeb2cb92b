"""Nothing waits: what leaves the device in a step, and what the host starts for one.

A CPU split in two stands in for a machine with an accelerator. One half is the host,
the other has the weights; what crosses back to the host is what a GPU's host would wait
for.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras
from tensorflow.python.eager import context

from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.model.training.execution import Execution
from alexnet.model.training.hardware import Hardware, set_up_hardware
from alexnet.model.training.make_classifier import build_replicated, make_classifier
from alexnet.pipeline.augment import device
from alexnet.pipeline.augment.presets import preset
from tests.conftest import (
    BATCH,
    TINY_NETWORK,
    TRAIN_SIDE,
)
from tests.model.processes import call

HOST, ACCELERATOR = "CPU:0", "CPU:1"
CROSSING = ("_Send", "_HostSend")
# Whose place is where its predicate is: on the host.
BRANCHES = ("If", "StatelessIf", "Switch")


def batches() -> Any:
    """The same noise again and again."""
    shape = (4 * BATCH, TRAIN_SIDE, TRAIN_SIDE, 3)
    images = np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)
    labels = np.arange(len(images)) % 2
    with tf.device(HOST):
        dataset = tf.data.Dataset.from_tensor_slices((images, labels))
        return iter(dataset.batch(BATCH, drop_remainder=True).repeat())


def execution(hardware: Hardware, **settings: Any) -> Execution:
    config = TrainConfig(batch_size=BATCH, **settings)
    network = NetworkConfig(variant="bn", **TINY_NETWORK)
    classifier = make_classifier(
        build_replicated(network, hardware),
        preset(config.augment),
        config,
        hardware,
        100,
        averaged=build_replicated(network, hardware) if config.ema else None,
    )
    return Execution(classifier, hardware.strategy)


def nodes_of_a_step(made: Execution) -> list[Any]:
    """What TensorFlow runs, on either device, where a step is taken."""
    context.context().enable_run_metadata()  # of functions that are called from now on
    made.train(batches(), 1)
    metadata = context.context().export_run_metadata()
    context.context().disable_run_metadata()
    return [
        node
        for function in metadata.function_graphs
        for graph in function.partition_graphs
        for node in graph.node
    ]


def parts_of_back(policy: str, settings: dict[str, Any]) -> tuple[list[str], int]:
    """Take a step on the accelerator: what goes back to the host, and its branches."""
    config = TrainConfig(logical_cpus=2, strategy="none")
    hardware = replace(set_up_hardware(config), policy=policy)
    keras.mixed_precision.set_global_policy(policy)
    device.pays = lambda: False  # as where there is a GPU
    with tf.device(ACCELERATOR):
        nodes = nodes_of_a_step(execution(hardware, **settings))
    convolutions = [node for node in nodes if node.op.endswith("Conv2D")]
    assert len(convolutions) == 5
    assert all(node.device.endswith(ACCELERATOR) for node in convolutions)
    back = [
        node.attr["tensor_name"].s.decode()
        for node in nodes
        if node.op in CROSSING and node.attr["recv_device"].s.endswith(HOST.encode())
    ]
    return back, sum(node.op in BRANCHES for node in nodes)


def require_nothing_back() -> None:
    settings = {"optimizer": "adamw", "ema": 0.99, "schedule": "cosine"}
    assert parts_of_back("float32", settings) == ([], 0)


def require_one_flag_back() -> None:
    """Whether all gradients are finite decides on the host if the step is taken."""
    back, branches = parts_of_back("mixed_float16", {})
    assert branches
    flags = [name for name in back if re.match(r"edge_\d+_All", name)]
    assert len(flags) == 1
    assert all("_cond/pivot" in name for name in back if name not in flags)


def test_nothing_of_a_step_goes_back_to_the_host() -> None:
    call(require_nothing_back)


@pytest.mark.slow
def test_the_loss_scale_asks_for_one_flag() -> None:
    call(require_one_flag_back)
