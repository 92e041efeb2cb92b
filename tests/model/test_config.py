"""Settings are refused where they are made, and survive JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from alexnet.model.config import TRAIN, NetworkConfig, TrainConfig
from alexnet.pipeline.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "value", "needs"),
    [
        ("variant", "vgg", "one of article, paper, bn"),
        ("num_classes", 1, "2 or more"),
        ("image_size", 66, "67 pixels or more"),
        ("width", 0, "above 0, at most 4"),
        ("width", 4.1, "above 0, at most 4"),
        ("dropout", 1.0, "0 to below 1"),
        ("dropout", None, "0 to below 1"),
        ("groups", 3, "1 or 2"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(
    name: str, value: Any, needs: str
) -> None:
    with pytest.raises(ConfigError) as error:
        NetworkConfig(**{name: value})
    assert f"{name} is {value!r}; it needs {needs}" in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "needs"),
    [
        ("optimizer", "lion", "one of momentum, sgd, adam"),
        ("schedule", "linear", "one of cosine, steps, constant"),
        ("loss", "hinge", "one of sparse, one-hot"),
        ("strategy", "tpu", "one of auto, none, mirrored, multi-worker"),
        ("reader", "dma", "one of auto, stream, mmap"),
        ("augment", "cutout", "one of article, paper, modern, trivial, none"),
        ("epochs", 0, "1 to 1,000,000"),
        ("batch_size", 0, "1 to 1,000,000"),
        ("decay_epochs", 10**7, "1 to 1,000,000"),
        ("patience", 0, "1 to 1,000,000"),
        ("steps_per_execution", 0, "1 to 1,000,000"),
        ("warmup_epochs", -0.5, "0 to 1,000,000"),
        ("weight_decay", -1e-4, "0 to 1,000"),
        ("seed", -1, "0 to 4,294,967,295"),
        ("seed", 2**32, "0 to 4,294,967,295"),
        ("learning_rate", 0.0, "above 0"),
        ("learning_rate", math.inf, "above 0, and finite"),
        ("learning_rate", "0.1", "above 0, and finite"),
        ("batch_size", None, "1 to 1,000,000"),
        ("learning_rate", math.nan, "above 0, and finite"),
        ("logical_cpus", 0, "1 to 256"),
        ("label_smoothing", 1.1, "0 to 1"),
        ("class_weights", "sqrt", "one of none, balanced"),
        ("clip_norm", 0.0, "above 0, and finite"),
        ("clip_norm", math.inf, "above 0, and finite"),
        ("ema", 1.0, "0 or more, below 1"),
        ("accumulate", 0, "1 to 1,000,000"),
    ],
)
def test_training_that_cannot_work_is_refused(
    name: str, value: Any, needs: str
) -> None:
    with pytest.raises(ConfigError) as error:
        TrainConfig(**{name: value})
    assert f"{name} is {value!r}; it needs {needs}" in str(error.value)


@pytest.mark.parametrize("schedule", ["cosine", "steps"])
def test_epochs_beyond_the_schedule_say_the_way_out(schedule: Any) -> None:
    with pytest.raises(ConfigError) as error:
        TrainConfig(schedule=schedule, epochs=9, decay_epochs=8)
    assert "with `decay_epochs=8` the learning rate has fallen" in str(error.value)
    assert "Start a run with `decay_epochs=9`, or without it" in str(error.value)


@pytest.mark.parametrize(
    ("settings", "rate", "decay"),
    [
        ({}, 0.0003, 0.05),
        ({"optimizer": "adam"}, 0.0003, 0.05),
        ({"optimizer": "momentum"}, 0.02, 0.005),
        ({"optimizer": "lars", "learning_rate": 1.0}, 1.0, 0.005),
        ({"weight_decay": 0.0}, 0.0003, 0.0),
    ],
)
def test_rate_and_decay_are_the_optimizers_where_nothing_else_is_said(
    settings: dict[str, Any], rate: float, decay: float
) -> None:
    config = TrainConfig(**settings)
    assert (config.learning_rate, config.weight_decay) == (rate, decay)
    assert TrainConfig.from_json(config.to_json()) == config


def test_a_constant_rate_has_no_end() -> None:
    assert TrainConfig(schedule="constant", epochs=9, decay_epochs=8).epochs == 9


def test_the_rate_falls_over_the_run_where_nothing_else_is_said() -> None:
    assert TrainConfig().falling_epochs == TRAIN.epochs
    assert TrainConfig(epochs=5).falling_epochs == 5
    assert TrainConfig(epochs=5, decay_epochs=8).falling_epochs == 8


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig(variant="paper", num_classes=10, width=0.5, groups=1),
        TrainConfig(epochs=3, optimizer="adam", xla=False, logical_cpus=2),
    ],
)
def test_json_round_trip(config: NetworkConfig | TrainConfig) -> None:
    assert config != type(config)()
    text = json.dumps(config.to_json())
    assert type(config).from_json(json.loads(text)) == config


def test_a_batch_has_equal_parts() -> None:
    TrainConfig(batch_size=12, accumulate=3)
    needs = "batch_size is 10; it needs a multiple of `accumulate=3`"
    with pytest.raises(ConfigError, match=needs):
        TrainConfig(batch_size=10, accumulate=3)
