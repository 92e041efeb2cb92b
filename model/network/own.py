"""Networks of the user's own, built by a function instead of from a variant's rows.

A run notes the function's name, by which any process finds it. One without a name, such
as a lambda or a notebook's, leaves the architecture in the run folder: layers of Keras
alone, because nothing that a run folder says is executed.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tensorflow import keras

from alexnet.model.config import SAVED_NETWORK, NetworkConfig
from alexnet.pipeline.errors import ConfigError, RunError

# Given the number of classes and the side of the images in pixels.
NetworkFunction = Callable[[int, int], keras.Model]

CONTRACT = (
    "a network is a function of (num_classes, image_size) that returns a keras.Model"
    " with one input, float [batch, image_size, image_size, 3], and one output, logits"
    " [batch, num_classes]"
)


def name_of_function(function: NetworkFunction) -> str:
    """Name a function `module:function`, or the saved architecture if it has none."""
    module = getattr(function, "__module__", None)
    name = f"{module}:{getattr(function, '__qualname__', '')}"
    try:
        is_named = module != "__main__" and find_function(name) is function
    except ConfigError:
        is_named = False
    return name if is_named else SAVED_NETWORK


def find_function(name: str) -> NetworkFunction:
    """Import the function that `module:function` names, from the current folder too.

    Raises:
        ConfigError: there is no such module or function, or it takes other arguments.
    """
    module_name, _, function_name = name.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)  # a command's own path lacks it
    try:
        found: Any = importlib.import_module(module_name)
        for part in function_name.split("."):
            found = getattr(found, part)
        inspect.signature(found).bind("num_classes", "image_size")
    except ImportError as error:
        raise ConfigError(
            f"`network='{name}'`: {error}. Modules are looked for in {folder} and where"
            " Python looks (PYTHONPATH)."
        ) from error
    except AttributeError as error:
        raise ConfigError(f"`network='{name}'`: {error}") from error
    except TypeError as error:
        raise ConfigError(f"`network='{name}'`: {error}; {CONTRACT}") from error
    function: NetworkFunction = found
    return function


def build_own_network(function: NetworkFunction, config: NetworkConfig) -> keras.Model:
    """Call the function, and check what it returns; a final softmax is taken off.

    Raises:
        ConfigError: it is no network for these images and classes.
    """
    network = function(config.num_classes, config.image_size)
    side = config.image_size
    expected = ((None, side, side, 3), (None, config.num_classes))
    if not isinstance(network, keras.Model):
        kind = type(network).__name__
        raise ConfigError(f"`network` has returned {kind}; {CONTRACT}")
    try:
        shapes = tuple(network.input_shape), tuple(network.output_shape)
    except (AttributeError, RuntimeError, TypeError) as error:
        raise ConfigError(
            f"`network` has returned {network.name}, whose shapes Keras does not know;"
            " it needs the functional API, or Sequential with an Input"
        ) from error
    if shapes != expected:
        raise ConfigError(
            f"`network` has returned {network.name}, from {shapes[0]} to {shapes[1]}."
            f" For `image_size={side}` and {config.num_classes} classes it needs"
            f" {expected[0]} to {expected[1]}: {CONTRACT}."
        )
    return _without_softmax(network)


def _without_softmax(network: keras.Model) -> keras.Model:
    """Take the softmax off: the loss and the predictions apply it, in float32."""
    last, outputs = network.layers[-1], network.outputs[0]
    if isinstance(last, keras.layers.Softmax):
        outputs = last.input
    elif getattr(last, "activation", None) is keras.activations.softmax:
        last.activation = keras.activations.linear
    # Given a list of one input, Keras 3 wants one in every call.
    return keras.Model(network.inputs[0], outputs, name=network.name)


def describe_network(network: keras.Model) -> str:
    """Describe a network's architecture as JSON, in float32.

    Raises:
        ConfigError: it has layers that are not Keras's.
    """
    text = json.dumps(keras.utils.serialize_keras_object(network))
    text = re.sub(r'"mixed_b?float16"', '"float32"', text)
    if foreign := sorted(set(foreign_names(json.loads(text)))):
        raise ConfigError(
            f"`network` is a function that no other process can import, and it has"
            f" layers that are not Keras's ({', '.join(foreign)}), so that evaluation"
            " could not build it again. Put the function into a module."
        )
    return text


def network_from_description(text: str) -> keras.Model:
    """Build a network of Keras's own layers again, with fresh weights.

    Raises:
        RunError: it is damaged, of another Keras, or has layers of someone else's.
    """
    try:
        description = json.loads(text)
        if foreign := sorted(set(foreign_names(description))):
            raise ValueError(f"layers that are not Keras's: {', '.join(foreign)}")
        network = keras.utils.deserialize_keras_object(description)
        if not isinstance(network, keras.Model):
            raise ValueError(f"a {type(network).__name__}, and no network")
    except (ArithmeticError, AttributeError, ImportError) as error:
        raise RunError(f"{SAVED_NETWORK} holds no network: {error}") from error
    except (LookupError, TypeError, ValueError) as error:
        raise RunError(f"{SAVED_NETWORK} holds no network: {error}") from error
    return network


def foreign_names(value: Any) -> Iterator[str]:
    """Names of the classes and functions in a description that are not Keras's."""
    if isinstance(value, dict):
        module = value.get("module")
        is_keras = module in (None, "builtins") or str(module).split(".")[0] == "keras"
        if not is_keras or value.get("class_name") in ("Lambda", "__lambda__"):
            yield str(value.get("class_name"))
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from foreign_names(part)
