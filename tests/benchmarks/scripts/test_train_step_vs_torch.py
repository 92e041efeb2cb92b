"""The step beside PyTorch's: the same network, and ratios of the same round."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path

import pytest

from alexnet.benchmarks.loaders.environment import require_environment
from alexnet.benchmarks.scripts import train_step_vs_torch as module
from alexnet.model.config import NetworkConfig
from alexnet.model.network.alexnet import build_network
from alexnet.pipeline.errors import ConfigError

OPTIONS = Namespace(batch_size=2, seconds=0.1, rounds=3)


def test_ours_is_by_theirs_of_the_same_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is half as fast in the second round."""
    speeds = iter((1.0, 0.5, 1.0))

    def measure_round(*_: object) -> dict[str, float]:
        speed = next(speeds)
        rates = {module.OURS: 60.0, module.EAGER: 50.0, module.COMPILED: 40.0}
        return {name: speed * rate for name, rate in rates.items()}

    monkeypatch.setattr(module, "require_environment", Path)
    monkeypatch.setattr(module, "measure_round", measure_round)
    row = module.compare("bfloat16", OPTIONS)
    assert row["images_per_second"] == {"alexnet": 60, "torch": 50, "torch.compile": 40}
    assert row["ours_by"]["torch"] == {"ratio": pytest.approx(1.2), "spread": 0}
    assert row["ours_by"]["torch.compile"]["ratio"] == pytest.approx(1.5)


def test_a_step_that_fails_gives_its_reason() -> None:
    with pytest.raises(ConfigError, match=r"unrecognized arguments|has PyTorch"):
        module.measure_torch(Path(sys.executable), ["--unknown"], 2, 0.1)


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is here")
def test_torch_step_says_what_it_needs() -> None:
    command = [sys.executable, str(module.SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "has PyTorch" in done.stderr


@pytest.mark.slow
def test_torch_trains_as_many_weights_as_we_do() -> None:
    try:
        python = require_environment("torch-pillow")
    except ConfigError as missing:
        pytest.skip(str(missing))
    command = [str(python), "-E", str(module.SCRIPT), "--batch-size", "2"]
    done = subprocess.run(
        [*command, "--seconds", "0.1"], capture_output=True, text=True, check=True
    )
    weights = build_network(NetworkConfig()).trainable_weights
    expected = sum(int(weight.shape.num_elements()) for weight in weights)
    assert json.loads(done.stdout)["parameters"] == expected
