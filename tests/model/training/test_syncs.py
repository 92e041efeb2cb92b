"""Nothing waits: what leaves the device in a step, and what the host starts for one.

A CPU split in two stands in for a machine with an accelerator. One half is the host,
the other has the weights; what crosses back to the host is what a GPU's host would wait
for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.python.eager import context

from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.model.training.execution import Execution
from alexnet.model.training.hardware import Hardware, set_up_hardware
from alexnet.model.training.training import build_replicated, make_classifier
from alexnet.pipeline.augment import device
from alexnet.pipeline.augment.presets import preset
from tests.conftest import (
    BATCH,
    TINY_NETWORK,
    TRAIN_SIDE,
)

HOST, ACCELERATOR = "CPU:0", "CPU:1"
CROSSING = ("_Send", "_HostSend")
# Whose place is where its predicate is: on the host.
BRANCHES = ("If", "StatelessIf", "Switch")


def batches() -> Any:
    """The same noise again and again."""
    shape = (4 * BATCH, TRAIN_SIDE, TRAIN_SIDE, 3)
    images = np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)
    labels = np.arange(len(images)) % 2
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    return iter(dataset.batch(BATCH, drop_remainder=True).repeat())


def execution(hardware: Hardware, steps_at_once: int = 1, **settings: Any) -> Execution:
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
    return Execution(classifier, hardware.strategy, steps_at_once)


def nodes_of_a_call(made: Execution, steps: int) -> list[Any]:
    """What TensorFlow runs, on either device, where steps are taken."""
    iterator = batches()
    made.train(iterator, steps)  # traced
    context.context().enable_run_metadata()
    made.train(iterator, steps, first_step=steps)
    metadata = context.context().export_run_metadata()
    context.context().disable_run_metadata()
    return [
        node
        for function in metadata.function_graphs
        for graph in function.partition_graphs
        for node in graph.node
    ]


def require_nothing_back(policy: str, settings: dict[str, Any], steps: int) -> None:
    """Take steps on the accelerator; nothing of them may go to the host."""
    config = TrainConfig(logical_cpus=2, strategy="none")
    hardware = replace(set_up_hardware(config), policy=policy)
    keras.mixed_precision.set_global_policy(policy)
    device.pays = lambda: False  # as where there is a GPU
    with tf.device(ACCELERATOR):
        made = execution(hardware, steps, **settings)
        nodes = nodes_of_a_call(made, steps)
    convolutions = [node for node in nodes if node.op == "Conv2D"]
    assert convolutions
    assert all(node.device.endswith(ACCELERATOR) for node in convolutions)
    back = [
        node.attr["tensor_name"].s
        for node in nodes
        if node.op in CROSSING and node.attr["recv_device"].s.endswith(HOST.encode())
    ]
    assert not back
    branches = sum(node.op in BRANCHES for node in nodes)
    assert branches == (policy == "mixed_float16")
