"""The step's bench: its arithmetic, its made-up batch, and what it lets run."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import getgeneratorlocals
from itertools import islice
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.benchmarks import train_step
from alexnet.benchmarks.measure import Measurement, Stopwatch, Timing
from alexnet.benchmarks.train_step import (
    TrainStepConfig,
    TrainStepReport,
    execute,
    plan_train_step,
)
from alexnet.model.config import NetworkConfig
from alexnet.model.network.alexnet import build_network
from alexnet.model.network.summary import training_flops
from alexnet.model.training.hardware import set_up_hardware
from alexnet.model.training.make_classifier import build_replicated, make_classifier
from alexnet.model.training.train_step import TrainableClassifier
from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.errors import ConfigError
from tests.conftest import slow

TINY = TrainStepConfig(batch_size=4, image_size=67, num_classes=3, width=1 / 16)


@pytest.fixture(autouse=True)
def float32_afterwards() -> Iterator[None]:
    """Planning sets the precision of the whole process."""
    yield
    keras.mixed_precision.set_global_policy("float32")


def test_what_follows_from_the_measurements() -> None:
    """100 images at 50/s are 2 s; 400 operations in them 200/s, a quarter of 800."""
    report = TrainStepReport(
        variant="bn",
        batch_size=100,
        image_size=67,
        width=1.0,
        augment="none",
        precision="float32",
        xla=False,
        device="CPU",
        images_per_second=50.0,
        spread=0.1,
        step_flops=400,
        matmul_flops_per_second=800.0,
        augment_share=0.2,
    )
    values = report.to_json()
    assert values["step_seconds"] == 2.0
    assert values["flops_per_second"] == 200.0
    assert values["share_of_matmul"] == 0.25
    assert values["spread"] == 0.1


def test_measurements_become_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 images/s alone and 25 in the step, augmenting is a quarter of the step."""
    rates = {"train step": 25.0, "augment": 100.0, "matmul limit": 1e9}

    class MadeUp(Stopwatch):
        def time(self, timing: Timing, *_: object) -> Measurement:
            self.announce(timing.name)
            return Measurement(rates[timing.name], 0.5)

    monkeypatch.setattr(train_step, "Stopwatch", MadeUp)
    told: list[Any] = []
    plan = plan_train_step(TINY)
    report = execute(plan, TINY, lambda *progress: told.append(progress))
    assert report.images_per_second == 25.0
    assert report.spread == 0.5
    assert report.augment_share == 0.25
    assert report.matmul_flops_per_second == 1e9
    assert report.step_flops == 4 * training_flops(
        build_network(NetworkConfig(num_classes=3, image_size=67, width=1 / 16))
    )
    assert (report.variant, report.precision) == ("article", "float32")
    assert told == [
        *[(name, done, 3) for done, name in enumerate(rates)],
        ("done", 3, 3),
    ]


def test_the_step_runs_and_learns() -> None:
    deliveries = plan_train_step(TINY).step.start()
    assert next(deliveries) == 4
    step, batch = (
        getgeneratorlocals(deliveries)[name] for name in ("device_stage", "batch")
    )
    cells = [cell.cell_contents for cell in step.python_function.__closure__]
    (classifier,) = (it for it in cells if isinstance(it, TrainableClassifier))
    (taken,) = (it for it in cells if isinstance(it, tf.Variable))
    weights = [weight.numpy() for weight in classifier.network.trainable_weights]
    assert np.isfinite(step(*batch)).all()
    assert int(taken) == 2
    assert any(
        np.any(before != after.numpy())
        for before, after in zip(
            weights, classifier.network.trainable_weights, strict=True
        )
    )


@pytest.mark.slow
def test_the_batch_is_noise_of_the_records_size() -> None:
    deliveries = plan_train_step(TINY).augment.start()
    next(deliveries)
    images, labels = getgeneratorlocals(deliveries)["batch"]
    assert (images.dtype, images.shape) == (tf.uint8, [4, 256, 256, 3])
    assert len(np.unique(images)) == 256
    assert images.numpy().mean() == pytest.approx(127.5, abs=1)
    assert (labels.dtype, labels.numpy().tolist()) == (tf.int64, [0, 1, 2, 0])


def test_a_network_larger_than_the_records_gets_its_own_size() -> None:
    assert TrainStepConfig(image_size=300).stored_side == 300


@pytest.mark.parametrize(
    "augment", ["none", *map(slow, ("article", "paper", "modern"))]
)
def test_augmenting_alone_is_what_the_step_does(
    monkeypatch: pytest.MonkeyPatch, augment: str
) -> None:
    config = TrainStepConfig(**{**TINY.to_json(), "augment": augment})
    hardware = set_up_hardware(config.train())
    classifier = make_classifier(
        build_replicated(config.network_config(), hardware),
        preset(augment),
        config.train(),
        hardware,
        1,
    )
    batch, seen = train_step._noise(config), []
    mixes = classifier._uses_one_hot()

    def remember(view: tf.Tensor, targets: tf.Tensor, *_: tf.Tensor) -> tuple:
        seen.extend([view, targets])
        raise KeyboardInterrupt

    monkeypatch.setattr(classifier, "_gradients", remember)
    with pytest.raises(KeyboardInterrupt):
        classifier.train_step(batch, 1)  # as the other's first
    view, targets = train_step._augment(classifier)(*batch)
    np.testing.assert_allclose(view, seen[0], atol=1e-4)
    if mixes:
        np.testing.assert_allclose(targets, seen[1], atol=1e-6)


@pytest.mark.parametrize(
    ("mixed", "dtype"), [(False, "float32"), (True, "bfloat16")], ids=str
)
@pytest.mark.skipif(
    bool(tf.config.list_physical_devices("GPU")), reason="a GPU mixes float16"
)
def test_the_limit_is_a_product_in_the_steps_precision(
    monkeypatch: pytest.MonkeyPatch, mixed: bool, dtype: str
) -> None:
    """A row times a column is 8 products and 8 sums, for each of 8 x 8 entries."""
    monkeypatch.setitem(train_step.MATMUL_SIDES, "CPU", 8)
    config = TrainStepConfig(**{**TINY.to_json(), "mixed_precision": mixed})
    deliveries = plan_train_step(config).matmul.start()
    assert list(islice(deliveries, 2)) == [8 * 8 * (8 + 8)] * 2
    assert getgeneratorlocals(deliveries)["matrix"].dtype == dtype


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"seconds": 0}, "seconds is 0"),
        ({"image_size": 20}, "67 pixels or more"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"augment": "wild"}, "'wild'"),
    ],
)
def test_settings_out_of_range_are_told(setting: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan_train_step(TrainStepConfig(**{**TINY.to_json(), **setting}))


def test_one_device_takes_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}}')
    assert plan_train_step(TINY).hardware.num_replicas == 1
