"""Compare augmentation that XLA compiles with TensorFlow's own kernels, on a CPU.

`python -m alexnet.benchmarks.scripts.augmentation` augments a batch of noise in turn
either way. It counts processor seconds, which other work on the machine hardly changes.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from unittest.mock import patch

import numpy as np
import tensorflow as tf

from alexnet.benchmarks.rounds import medians, ratios
from alexnet.pipeline.augment import device
from alexnet.pipeline.augment.augment import augment_batch, fold_seed, mixup_cutmix
from alexnet.pipeline.augment.presets import preset

STORED_SIDE, SIDE, CLASSES = 256, 227, 2
# A batch uint8 is RGB of this shape, or planes.
SHAPES = {
    "rgb": (STORED_SIDE, STORED_SIDE, 3),
    "yuv420": (3 * STORED_SIDE // 2, STORED_SIDE),
}
WAYS = {"XLA": True, "kernels": False}


def make_step(name: str, batch: tf.Tensor, compiles: bool) -> Callable[[int], None]:
    """Return a preset's whole augmentation of the batch, mixing included, traced."""
    config, rows = preset(name), batch.shape[0]
    one_hot = tf.one_hot(tf.range(rows) % CLASSES, CLASSES)

    @tf.function
    def augment(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        seed = fold_seed(0, step)
        images = augment_batch(batch, config, SIDE, seed, 0, rows)
        return mixup_cutmix(images, one_hot, config, seed, 0, rows)

    def run(step: int) -> None:
        augment(tf.constant(step))

    with patch.object(device, "pays", lambda: compiles):
        run(0)
    return run


def measure(step: Callable[[int], None], number: int) -> float:
    """Return the batches per processor second of a step."""
    start = time.process_time()
    step(number)
    return 1 / (time.process_time() - start)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print images per processor second, and their ratio, for presets and storages."""
    parser = ArgumentParser(
        "python -m alexnet.benchmarks.scripts.augmentation", description=__doc__
    )
    parser.add_argument(
        "--presets", nargs="+", default=["paper", "modern", "trivial", "article"]
    )
    parser.add_argument("--batch-size", type=int, default=128, help="images a batch")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each way")
    options = parser.parse_args(arguments)
    random, rows = np.random.default_rng(0), options.batch_size
    for name in options.presets:
        for storage, shape in SHAPES.items():
            batch = tf.constant(random.integers(0, 256, (rows, *shape), np.uint8))
            steps = {way: make_step(name, batch, on) for way, on in WAYS.items()}
            rounds = [
                {way: rows * measure(step, number) for way, step in steps.items()}
                for number in range(options.rounds)
            ]
            rates, (ratio,) = medians(rounds), ratios(rounds, "XLA").values()
            print(
                f"{name:8} {storage:7} XLA {rates['XLA']:6.0f}, kernels"
                f" {rates['kernels']:6.0f} images per processor second:"
                f" {ratio.ratio:.2f} times (spread {ratio.spread:.0%})"
            )


if __name__ == "__main__":
    main()
