"""The comparison runs from end to end, on a batch that takes no time."""

from __future__ import annotations

import pytest
import tensorflow as tf

from alexnet.benchmarks.scripts import augmentation
from alexnet.pipeline.augment import device


@pytest.mark.slow
def test_both_ways_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    augmentation.main(["--presets", "paper", "--batch-size", "2", "--rounds", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["paper", "rgb", "XLA"],
        ["paper", "yuv420", "XLA"],
    ]
    assert all("times (spread 0%)" in line for line in lines)


def test_each_way_is_traced_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[bool] = []

    def augment(images: tf.Tensor, *_: object) -> tf.Tensor:
        ways.append(device.pays())
        return images

    monkeypatch.setattr(augmentation, "augment_batch", augment)
    monkeypatch.setattr(augmentation, "mixup_cutmix", lambda *batch: batch[:2])
    for compiles in (True, False):
        augmentation.make_step("paper", tf.zeros([1, 2]), compiles)(1)
    assert ways == [True, False]
