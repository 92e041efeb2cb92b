"""Initial weights of a run: those of another run or of a file, not fresh ones.

They are read and fitted once, before anything of a run is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import NETWORK
from alexnet.model.network.named_weights import (
    Arrays,
    fingerprint,
    layer_of,
    named_arrays,
    named_weights,
    set_weights,
)
from alexnet.model.network.weights_file import READERS, read_weights
from alexnet.model.training.checkpoints import load_network
from alexnet.model.training.run import RunFolder
from alexnet.model.training.run_config import InitialWeights
from alexnet.model.training.run_network import build_run_network
from alexnet.pipeline.errors import ConfigError


def settings_of_source(source: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Complete settings by those that a run's weights were trained with.

    These are its augmentation, which normalises, and its network where none is named.

    Raises:
        ConfigError: there is nothing at `source`.
        RunError: it is a folder without a run.
    """
    if not source.exists():
        raise ConfigError(
            f"`init_from`: no such file or folder: {source}. It needs the folder of a"
            f" run, or a file of weights ({', '.join(READERS)})."
        )
    if not source.is_dir():
        return settings
    config = RunFolder(source).load_config()
    own = {"augment": config.train.augment}
    if not {"network", "variant"} & set(settings):
        values = config.network.to_json().items()
        own |= {k: v for k, v in values if v != getattr(NETWORK, k)}
        own.pop("num_classes", None)
    return own | settings


def start_from(
    source: Path,
    network: keras.Model,
    class_names: tuple[str, ...],
    strategy: tf.distribute.Strategy,
) -> InitialWeights:
    """Set a network's weights to those of a run or a file; return what was taken.

    A run's are those of its best epoch. The head stays fresh where it is for other
    classes: other names of a run's, another number of a file's.

    Raises:
        ConfigError: they do not fit the network.
        DataError: the file cannot be read.
        RunError: the run's cannot.
    """
    is_run = source.is_dir()
    arrays = _run_weights(RunFolder(source)) if is_run else read_weights(source)
    other_classes = (
        is_run and RunFolder(source).load_config().class_names != class_names
    )
    with strategy.scope():
        fresh = set_weights(network, arrays, str(source), other_classes)
    return InitialWeights(fingerprint(arrays), fresh)


def _run_weights(run: RunFolder) -> Arrays:
    network = build_run_network(run)
    load_network(run, network)
    return named_arrays(network)


def rate_scales(
    network: keras.Model, initial: InitialWeights | None, kept_rate: float
) -> list[float]:
    """Return a multiple of the learning rate for every trainable weight."""
    names = {id(weight): name for name, weight in named_weights(network).items()}
    layers = [layer_of(names.get(id(w), "")) for w in network.trainable_variables]
    if initial is None:
        return [1.0] * len(layers)
    return [1.0 if layer in initial.fresh_layers else kept_rate for layer in layers]
