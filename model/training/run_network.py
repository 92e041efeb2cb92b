"""The network of a run, built again as the run's settings and folder say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alexnet.model.config import SAVED_NETWORK
from alexnet.model.network.alexnet import build_network
from alexnet.model.network.own import network_from_description
from alexnet.model.training.run import RunFolder

if TYPE_CHECKING:
    from tensorflow import keras


def build_run_network(run: RunFolder) -> keras.Model:
    """Build a run's network with fresh weights, in the global precision policy.

    Raises:
        RunError: there is no run, or its saved architecture cannot be read.
        ConfigError: the function that builds its network cannot be imported.
    """
    config = run.load_config().network
    if config.network == SAVED_NETWORK:
        return network_from_description(run.load_network())
    return build_network(config)
