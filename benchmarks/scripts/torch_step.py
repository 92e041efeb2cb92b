"""The article's network and its training step in PyTorch, for `train_step_vs_torch`.

It imports nothing of alexnet and is run by whichever Python has PyTorch. The step takes
uint8 images of 256 px that the device holds: central crop, normalisation, forward,
backward, AdamW.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import Any

try:
    import torch
except ImportError as missing:
    sys.exit(f"torch_step is run by a Python that has PyTorch 2.4 or newer: {missing}")
from torch import nn
from torch.nn import functional

STORED_SIDE, SIDE = 256, 227
# As benchmarks/measure.py has them.
WINDOWS, WARM_UP_SHARE = 5, 0.5


def article_network(classes: int) -> nn.Module:
    """float [batch, 3, 227, 227] to logits, layer by layer as the variant `article`."""
    return nn.Sequential(
        *(nn.Conv2d(3, 96, 11, 4), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(96, 256, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        nn.BatchNorm2d(256),
        *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(384, 384, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        nn.Flatten(),
        *(nn.Linear(256 * 6 * 6, 4096), nn.ReLU(inplace=True), nn.Dropout()),
        *(nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout()),
        nn.Linear(4096, classes),
    )


class Step:
    """A training step on one batch that the device holds."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.dtype: torch.dtype = getattr(torch, options.precision)
        self.network = article_network(options.classes).to(
            self.device, memory_format=torch.channels_last
        )
        self.model = torch.compile(self.network) if options.compile else self.network
        # Fused is one pass over the weights, as TensorFlow's kernel is.
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), 0.0003, weight_decay=0.05, fused=True
        )
        scales = self.dtype == torch.float16
        self.scaler = torch.amp.GradScaler(self.device, enabled=scales)
        pixels = (options.batch_size, STORED_SIDE, STORED_SIDE, 3)
        noise = torch.randint(0, 256, pixels, dtype=torch.uint8, device=self.device)
        # Rows of pixels with the channels last: another view of the same bytes.
        self.images = noise.permute(0, 3, 1, 2)
        labels = torch.arange(options.batch_size, device=self.device)
        self.labels = labels % options.classes

    def __call__(self) -> None:
        """Learn from the batch."""
        start = (STORED_SIDE - SIDE) // 2
        view = self.images[:, :, start : start + SIDE, start : start + SIDE]
        view = view.to(self.dtype, memory_format=torch.channels_last) / 255
        mixed = self.dtype != torch.float32
        with torch.autocast(self.device, self.dtype, enabled=mixed):
            logits = self.model(view)
        loss = functional.cross_entropy(logits.float(), self.labels)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def settle(self) -> None:
        """Return when everything started on the device is done."""
        if self.device == "cuda":
            torch.cuda.synchronize()


def steps_per_second(step: Step, seconds: float) -> float:
    """Steps a second from now to the end of the first one after `seconds`."""
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        step()
        steps += 1
    step.settle()
    return steps / (time.perf_counter() - start)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Median images per second after a warm-up, and the range as a share of it."""
    torch.set_float32_matmul_precision("high")
    step = Step(options)
    for _ in range(2):  # compiles
        step()
    steps_per_second(step, WARM_UP_SHARE * options.seconds)
    rates = [steps_per_second(step, options.seconds / WINDOWS) for _ in range(WINDOWS)]
    median = statistics.median(rates)
    return {
        "torch": torch.__version__,
        "device": step.device,
        "parameters": sum(weight.numel() for weight in step.network.parameters()),
        "images_per_second": options.batch_size * median,
        "spread": (max(rates) - min(rates)) / median,
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser("torch_step.py", description=__doc__)
    precisions = ("float32", "bfloat16", "float16")
    parser.add_argument("--precision", choices=precisions, default="float32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0)
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
