"""What `fit` says before, during and after; nothing is trained for it here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alexnet.cli import plan_messages
from alexnet.cli.console import Meter
from alexnet.cli.fit_messages import FitProgress
from alexnet.cli.plan_messages import fit_command
from alexnet.model.training import training
from alexnet.model.training.history import EpochRecord
from tests.cli.conftest import SMALL, STORED_SIDE, alexnet, alexnet_json

Trained = tuple[Path, dict[str, Any]]


def test_skipped_steps_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    record = EpochRecord(1, 4, 0.1, 0.5, 0.75, None, None, 1.0, 0.0, 1.0)
    with Meter("training", "steps") as meter:
        for skipped in (0, 3):
            progress = FitProgress(meter)
            progress.epoch(replace(record, skipped_steps=skipped), 2, "")
    first, second, more = capsys.readouterr().err.splitlines()
    assert first == second
    assert more == "  3 steps skipped: float16 overflowed"


@pytest.mark.parametrize(
    ("epoch", "epochs", "changes", "gpu"),
    [
        (10, 10, {}, ""),
        (1000, 1000, {"loss": 6.9, "val_loss": 7.1}, "GPU 100 %, 139.9 GiB"),
        (1000, 1000, {"loss": 99.999, "val_loss": 9999.0}, ""),
        (7, 90, {"val_loss": None, "val_accuracy": None}, "GPU 87 %, 3.1 GiB"),
        (1000, 1000, {"skipped_steps": 12_345}, "GPU 100 %, 139.9 GiB"),
    ],
)
def test_an_epochs_lines_fit_a_terminal(
    epoch: int,
    epochs: int,
    changes: dict[str, Any],
    gpu: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = EpochRecord(
        *(epoch, 5_000_000, 0.1, 0.4721, 0.7731, 0.5, 0.75, 23_456.7, 0.123, 100.0)
    )
    with Meter("training", "steps") as meter:
        progress = FitProgress(meter)
        progress.epoch(replace(record, **changes), epochs, gpu)
    lines = capsys.readouterr().err.splitlines()
    assert max(map(len, lines)) <= 80
    assert f"epoch {epoch:>{len(str(epochs))}}/{epochs}  loss " in lines[0]
    assert "acc 0.773" in lines[0]
    assert lines[0].endswith("23,457 img/s  wait 12%")
    assert gpu in "".join(lines[1:])


def opening(monkeypatch: pytest.MonkeyPatch, *words: object) -> str:
    """The lines of a `fit` that is interrupted before it begins to train."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupted)
    ended = alexnet("fit", *([] if "--resume" in words else SMALL), *words)
    assert ended.code == 130, ended.err
    return ended.err


def build(photos: Path, out: Path, *options: object) -> Path:
    alexnet_json("records", "build", photos, "--out", out, "--workers", 1, *options)
    return out


def test_one_example_and_one_step_are_no_plurals(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--side", STORED_SIDE, "--validation-fraction", 0.04)
    records = build(photos, tmp_path / "records", *options)
    said = opening(monkeypatch, records, "--run", tmp_path / "run", "--batch-size", 23)
    assert "23 train and 1 validation example; 1 step of 23 an epoch" in said


def test_pictures_that_are_scaled_down_first_are_told(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """67 px of 76 px are what 227 px are of 256 px."""
    words = ("--run", tmp_path / "run")
    large = build(photos, tmp_path / "large", "--side", 128)
    small = build(photos, tmp_path / "small", "--side", STORED_SIDE)
    assert (
        "pictures of 128 px are scaled to 76 px first, so that a crop of 67 px covers"
        " what 227 px cover of 256 px\n"
    ) in opening(monkeypatch, large, *words)
    for more in ((large, "--augment", "article"), (small,)):
        assert "px first" not in opening(monkeypatch, *more, *words)


@pytest.mark.parametrize("is_slow", [True, False])
def test_half_precision_in_software_is_told(
    trained: Trained,
    built: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_slow: bool,
) -> None:
    monkeypatch.setattr(plan_messages, "bfloat16_is_slow", lambda: is_slow)
    words = (built[0], "--run", tmp_path / "run")
    said = opening(monkeypatch, *words, "--mixed-precision")
    assert ("times as long as with --no-mixed-precision" in said) == is_slow
    assert "warning" not in opening(monkeypatch, *words)


@pytest.mark.parametrize(
    ("gpus", "is_slow", "words"),
    [(0, True, ""), (0, False, " --mixed-precision"), (1, True, " --mixed-precision")],
)
def test_the_command_to_train_by_is_this_machines(
    monkeypatch: pytest.MonkeyPatch, gpus: int, is_slow: bool, words: str
) -> None:
    monkeypatch.setattr(
        "alexnet.benchmarks.doctor.gpus.count_nvidia_devices", lambda: gpus
    )
    monkeypatch.setattr(plan_messages, "bfloat16_is_slow", lambda: is_slow)
    assert fit_command() == f"alexnet fit{words}"
    assert fit_command(Path("my records")) == f"alexnet fit 'my records'{words}"


def test_a_run_that_gets_more_epochs_says_what_its_rate_does(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--run", trained[0], "--resume")
    said = opening(monkeypatch, *words, "--epochs", 3)
    assert "from 2 to 3 epochs: the learning rate now falls over all 3" in said
    assert "Begun with --decay-epochs 3, a run in parts takes the steps of" in said
    assert "learning rate" not in opening(monkeypatch, *words)
