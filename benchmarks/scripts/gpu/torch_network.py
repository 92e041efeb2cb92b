"""torchvision's AlexNet and its training step in PyTorch, for `torch_step`.

It imports nothing of alexnet and is run by whichever Python has PyTorch.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

SIDE = 227
# ImageNet's, in [0, 255], as torchvision's own recipes have them.
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def plain_alexnet(classes: int) -> nn.Module:
    """torchvision's AlexNet, layer by layer, for where torchvision is not installed."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.AdaptiveAvgPool2d(6), nn.Flatten()),
        *(nn.Dropout(), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(inplace=True)),
        *(nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(inplace=True)),
        nn.Linear(4096, classes),
    )


def make_network(classes: int) -> tuple[nn.Module, str]:
    """The network with fresh weights, and whose definition it is."""
    try:
        from torchvision.models import alexnet
    except ImportError:
        return plain_alexnet(classes), "plain torch.nn"
    return alexnet(num_classes=classes), "torchvision"


class Step:
    """A training step: flip, normalise, forward, backward, SGD with momentum."""

    def __init__(self, device: str, classes: int, mixed: bool, compiles: bool) -> None:
        network, self.definition = make_network(classes)
        self.network = network.to(device, memory_format=torch.channels_last)
        self.model = torch.compile(self.network) if compiles else self.network
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), 0.01, momentum=0.9, weight_decay=0.0005
        )
        half = torch.float16 if device == "cuda" else torch.bfloat16
        self.device, self.dtype = device, half if mixed else torch.float32
        scales = self.dtype == torch.float16
        self.scaler = torch.amp.GradScaler(device, enabled=scales)
        self.mean, self.std = (
            torch.tensor(values, device=device, dtype=self.dtype).view(1, 3, 1, 1)
            for values in (MEAN, STD)
        )

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Learn from uint8 [batch, 3, 227, 227] in channels_last."""
        view = (images.to(self.dtype) - self.mean) / self.std
        flips = torch.rand(len(view), 1, 1, 1, device=self.device) < 0.5
        view = torch.where(flips, view.flip(3), view)
        mixed = self.dtype != torch.float32
        with torch.autocast(self.device, self.dtype, enabled=mixed):
            loss = functional.cross_entropy(self.model(view), labels)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()


def training_flops(classes: int) -> int:
    """Floating-point operations of one image's forward and backward pass."""
    network, _ = make_network(classes)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, SIDE, SIDE)).sum().backward()
    return int(counter.get_total_flops())
