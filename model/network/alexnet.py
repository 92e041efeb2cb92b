"""The networks: float [batch, size, size, 3] in, float32 logits [batch, classes] out.

A variant is a tuple of rows and one loop builds them all. There is no softmax: the loss
takes logits, because log(softmax) in one piece is exact where one after the other would
underflow, and prediction applies it in float32.
"""

from __future__ import annotations

from tensorflow import keras

from alexnet.model.config import NetworkConfig
from alexnet.model.network.own import (
    NetworkFunction,
    build_own_network,
    find_function,
)
from alexnet.model.network.rows import (
    AdaptivePool,
    Conv,
    Flatten,
    Hidden,
    Logits,
    Lrn,
    Norm,
    Pool,
    Row,
    Site,
)

# The article's Keras code, which starts from Keras's default initialiser.
ARTICLE = (
    *(Conv(96, 11, 4, "valid"), Pool()),
    *(Conv(256, 5), Pool(), Norm()),
    Conv(384, 3),
    Conv(384, 3),
    *(Conv(256, 3), Pool()),
    *(Flatten(), Hidden(4096), Hidden(4096), Logits()),
)

# Krizhevsky 2012, sections 3.3 to 3.5 and 4.2. Not section 5's start (Gaussian 0.01,
# biases of 1), which is for pixels in [0, 255]: on inputs of unit variance the biases
# drown the image. In 60 steps in which Keras's default learns a toy task, it does not.
PAPER = (
    *(Conv(96, 11, 4, "valid"), Lrn(), Pool()),
    *(Conv(256, 5, grouped=True), Lrn(), Pool()),
    Conv(384, 3),
    Conv(384, 3, grouped=True),
    *(Conv(256, 3, grouped=True), Pool()),
    *(Flatten(), Hidden(4096), Hidden(4096), Logits()),
)

BN = (
    *(Conv(96, 11, 4, "valid", normed=True), Pool()),
    *(Conv(256, 5, normed=True), Pool()),
    Conv(384, 3, normed=True),
    Conv(384, 3, normed=True),
    *(Conv(256, 3, normed=True), Pool()),
    *(Flatten(), Hidden(4096), Hidden(4096), Logits()),
)

# torchvision/models/alexnet.py, which follows Krizhevsky 2014 (arXiv:1404.5997).
TORCHVISION = (
    *(Conv(64, 11, 4, "valid", border=2), Pool()),
    *(Conv(192, 5), Pool()),
    Conv(384, 3),
    Conv(256, 3),
    *(Conv(256, 3), Pool(), AdaptivePool(6)),
    *(Flatten(), Hidden(4096, drops_inputs=True), Hidden(4096, drops_inputs=True)),
    Logits(),
)

VARIANTS: dict[str, tuple[Row, ...]] = {
    "article": ARTICLE,
    "paper": PAPER,
    "bn": BN,
    "torchvision": TORCHVISION,
}


def build_network(
    config: NetworkConfig,
    synchronized_norm: bool = False,
    function: NetworkFunction | None = None,
) -> keras.Model:
    """Build a network with fresh weights, in the global mixed precision policy.

    `function` builds a network of the user's own; without it the settings name it.

    Raises:
        ConfigError: it cannot be imported, or builds no network for these settings.
    """
    if config.network:
        return build_own_network(function or find_function(config.network), config)
    images = keras.Input(
        (config.image_size, config.image_size, 3),
        # Keras would widen a half precision batch to float32 at the door.
        dtype=keras.mixed_precision.global_policy().compute_dtype,
        name="images",
    )
    outputs, depth = images, 0
    for number, row in enumerate(VARIANTS[config.variant]):
        depth += row.learned
        site = Site(config, synchronized_norm, depth, number)
        for layer in row.layers(site):
            outputs = layer(outputs)
    return keras.Model(images, outputs, name=f"alexnet_{config.variant}")
