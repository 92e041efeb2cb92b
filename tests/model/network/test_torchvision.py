"""The variant `torchvision` against PyTorch, and against the same net in NumPy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from alexnet.model.config import NetworkConfig
from alexnet.model.network.alexnet import build_network
from alexnet.model.network.layers import AdaptiveAveragePool
from alexnet.model.network.named_weights import set_weights
from alexnet.model.network.weights_file import from_torchvision, read_weights

Arrays = dict[str, np.ndarray]
CONVOLUTIONS = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}
POOLED = (0, 3, 10)
CLASSES = 5
# Its channels and units at a sixteenth of the width.
KERNELS = {
    "features.0": (4, 3, 11, 11),
    "features.3": (12, 4, 5, 5),
    "features.6": (24, 12, 3, 3),
    "features.8": (16, 24, 3, 3),
    "features.10": (16, 16, 3, 3),
    "classifier.1": (256, 16 * 36),
    "classifier.4": (256, 256),
    "classifier.6": (CLASSES, 256),
}


def state_dict() -> Arrays:
    """Random weights that keep numbers at the size they have."""
    rng = np.random.default_rng(5)
    state = {}
    for name, shape in KERNELS.items():
        spread = math.sqrt(2 / math.prod(shape[1:]))
        state[f"{name}.weight"] = rng.normal(0, spread, shape).astype(np.float32)
        state[f"{name}.bias"] = rng.normal(0, 0.1, shape[0]).astype(np.float32)
    return state


def logits_here(state: Arrays, images: np.ndarray) -> np.ndarray:
    """Logits of images [batch, 3, side, side], as PyTorch has them."""
    config = NetworkConfig(
        variant="torchvision",
        num_classes=len(state["classifier.6.bias"]),
        image_size=images.shape[-1],
        width=len(state["features.0.bias"]) / 64,
    )
    network = build_network(config)
    assert set_weights(network, from_torchvision(state), "a state dict") == ()
    return network(images.transpose(0, 2, 3, 1)).numpy()


def windows_of(maps: np.ndarray, size: int, stride: int) -> np.ndarray:
    view: Any = np.lib.stride_tricks.sliding_window_view
    return view(maps, (size, size), axis=(1, 2))[:, ::stride, ::stride]


def by_hand(state: Arrays, image: np.ndarray) -> np.ndarray:
    """torchvision/models/alexnet.py, of one image [3, side, side], in float64."""
    maps = image.astype(np.float64)
    for place, (stride, zeros) in CONVOLUTIONS.items():
        kernel, bias = (state[f"features.{place}.{k}"] for k in ("weight", "bias"))
        padded = np.pad(maps, ((0, 0), (zeros, zeros), (zeros, zeros)))
        windows = windows_of(padded, kernel.shape[-1], stride)
        maps = np.einsum("ixyhw,oihw->oxy", windows, kernel) + bias[:, None, None]
        maps = np.maximum(maps, 0)
        if place in POOLED:
            maps = windows_of(maps, 3, 2).max(axis=(3, 4))
    features = adaptive_by_hand(maps, 6).ravel()
    for place in (1, 4, 6):
        kernel, bias = (state[f"classifier.{place}.{k}"] for k in ("weight", "bias"))
        features = kernel @ features + bias
        if place != 6:
            features = np.maximum(features, 0)
    return features


def adaptive_by_hand(maps: np.ndarray, side: int) -> np.ndarray:
    """PyTorch's AdaptiveAvgPool2d: from floor(i n / side) to ceil((i + 1) n / side)."""
    height, width = maps.shape[1:]

    def window(place: int, size: int) -> slice:
        start, end = place * size / side, (place + 1) * size / side
        return slice(math.floor(start), math.ceil(end))

    pooled = [
        maps[:, window(i, height), window(j, width)].mean(axis=(1, 2))
        for i in range(side)
        for j in range(side)
    ]
    return np.array(pooled).T.reshape(len(maps), side, side)


# The last maps are 1, 6 and 7 places wide: repeated, as they are, and overlapping.
@pytest.mark.parametrize("side", [67, 224, 256])
def test_logits_are_those_of_the_net_in_numpy(side: int) -> None:
    state = state_dict()
    image = np.random.default_rng(side).normal(0, 1, (3, side, side))
    logits = logits_here(state, image[None].astype(np.float32))
    expected = by_hand(state, image)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(logits[0], expected, atol=1e-4)


def torch_alexnet(width: int, num_classes: int) -> Any:
    """torchvision/models/alexnet.py at a part of its width."""
    nn = pytest.importorskip("torch").nn
    a, b, c, d, e = (channels // width for channels in (64, 192, 384, 256, 4096))
    features = nn.Sequential(
        *(nn.Conv2d(3, a, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(a, b, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(b, c, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(c, d, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(d, d, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
    )
    classifier = nn.Sequential(
        *(nn.Dropout(), nn.Linear(d * 6 * 6, e), nn.ReLU()),
        *(nn.Dropout(), nn.Linear(e, e), nn.ReLU()),
        nn.Linear(e, num_classes),
    )
    flat = nn.Sequential(nn.AdaptiveAvgPool2d(6), nn.Flatten())
    parts = {"features": features, "flat": flat, "classifier": classifier}
    network = nn.Sequential()
    for name, part in parts.items():
        network.add_module(name, part)
    return network.eval()


@pytest.mark.parametrize(("width", "side"), [(1, 224), (16, 67), (16, 100), (16, 300)])
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_logits_are_those_of_pytorch(
    tmp_path: Path, width: int, side: int, ending: str
) -> None:
    torch = pytest.importorskip("torch")
    network = torch_alexnet(width, 10)
    with torch.no_grad():
        for weights in network.parameters():
            weights *= 2  # so that logits are not next to nothing
    path = tmp_path / f"alexnet{ending}"
    if ending == ".pth":
        torch.save(network.state_dict(), path)
    else:
        from safetensors.torch import save_file

        save_file(network.state_dict(), path)
    images = torch.randn(2, 3, side, side)
    with torch.no_grad():
        expected = network(images).numpy()
    assert np.abs(expected).max() > 0.1
    config = NetworkConfig(
        variant="torchvision", num_classes=10, image_size=side, width=1 / width
    )
    built = build_network(config)
    set_weights(built, read_weights(path), str(path))
    found = built(images.numpy().transpose(0, 2, 3, 1)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-5)


def test_the_published_number_of_parameters_at_the_published_side() -> None:
    config = NetworkConfig(variant="torchvision", num_classes=1000)
    assert config.image_size == 224
    assert NetworkConfig().image_size == 227
    network = build_network(config)
    assert network.count_params() == 61_100_840
    assert network.get_layer("conv1").output.shape[1:] == (55, 55, 64)


@pytest.mark.parametrize("size", [(1, 1), (4, 5), (6, 13), (8, 6), (12, 12)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_adaptive_pooling(size: tuple[int, int], dtype: str) -> None:
    maps = np.random.default_rng(1).integers(-8, 8, (3, *size)).astype(np.float32)
    layer = AdaptiveAveragePool(6, dtype=dtype)
    pooled = layer(tf.cast(maps.transpose(1, 2, 0)[None], dtype))
    assert pooled.dtype == dtype
    expected = adaptive_by_hand(maps, 6).transpose(1, 2, 0)
    tolerance = 1e-5 if dtype == "float32" else 0.05
    np.testing.assert_allclose(tf.cast(pooled[0], tf.float32), expected, atol=tolerance)
    assert AdaptiveAveragePool.from_config(layer.get_config()).side == 6
