"""`alexnet bench train-step`: its JSON, its table and what it refuses."""

from __future__ import annotations

import pytest

from alexnet.benchmarks import train_step
from alexnet.benchmarks.train_step import TrainStepReport
from tests.cli.conftest import SMALL, alexnet, alexnet_json, failure

STEP = ("bench", "train-step", *SMALL, "--seconds", 0.05)
FIELDS = (
    "variant batch_size image_size precision xla device images_per_second spread"
    " step_seconds step_flops flops_per_second matmul_flops_per_second"
    " share_of_matmul augment_share"
)


@pytest.fixture(autouse=True)
def small_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_step, "MATMUL_SIDES", {"CPU": 64, "GPU": 64})


@pytest.mark.slow
def test_json() -> None:
    found = alexnet_json(*STEP, "--variant", "bn", "--classes", 5, "--no-xla")
    assert set(FIELDS.split()) <= set(found)
    assert (found["variant"], found["batch_size"]) == ("bn", 8)
    assert (found["precision"], found["xla"]) == ("float32", False)
    assert found["images_per_second"] > 0
    assert found["step_seconds"] == pytest.approx(8 / found["images_per_second"])
    assert found["augment_share"] > 0


def test_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """128 images at 64/s are 2 s; 800 GFLOP in them 400 GFLOP/s, of 2 TFLOP/s 20 %."""
    report = TrainStepReport(
        variant="paper",
        batch_size=128,
        image_size=227,
        width=1.0,
        augment="none",
        precision="mixed_float16",
        xla=True,
        device="NVIDIA H200",
        images_per_second=64.0,
        spread=0.03,
        step_flops=800 * 10**9,
        matmul_flops_per_second=2e12,
        augment_share=0.07,
    )
    monkeypatch.setattr(train_step, "run_train_step", lambda *_: report)
    ended = alexnet("bench", "train-step")
    assert ended.code == 0
    title = "paper network, batch 128, 227 px, mixed_float16, XLA: NVIDIA H200"
    assert title in ended.out
    for value in ("2,000.0 ms", "7%", "800.0 GFLOP ", "400.0 GFLOP/s", "2.0 TFLOP/s"):
        assert value in ended.out
    assert "The step takes 64 images/s" in ended.out


@pytest.mark.parametrize(
    ("words", "said"),
    [("--seconds 0", "seconds is 0.0"), ("--image-size 60", "67 pixels or more")],
)
def test_what_cannot_be_measured_is_told(words: str, said: str) -> None:
    assert said in failure(*STEP, *words.split())
