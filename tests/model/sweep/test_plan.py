"""Plans: what fits the records, the folder's own, and options of the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alexnet.model.command_line import option_words
from alexnet.model.sweep.plan import load_plan, plan_sweep
from alexnet.model.sweep.space import Choices, Range, Space
from alexnet.pipeline.errors import ConfigError, RunError
from tests.conftest import TINY_RUN
from tests.model.sweep.conftest import MakePlan

RATES: Space = {"learning_rate": Choices((0.1, 0.2)), "seed": Choices((1, 2, 3))}
RANGE: Space = {"learning_rate": Range(0.1, 0.2)}


@pytest.mark.parametrize(
    ("space", "trials", "expected"),
    [(RATES, None, (6, True)), (RATES, 4, (4, False)), (RANGE, None, (20, False))],
)
def test_lists_are_a_grid_and_ranges_are_drawn(
    train_records: Path,
    tmp_path: Path,
    space: Space,
    trials: int | None,
    expected: tuple[int, bool],
) -> None:
    plan = plan_sweep(train_records, tmp_path / "a", space, TINY_RUN, trials=trials)
    assert (plan.trials, plan.is_grid) == expected
    assert not (tmp_path / "a").exists()  # a plan is no execution
    plan.save()
    assert load_plan(tmp_path / "a") == plan
    with pytest.raises(RunError, match="a holds a sweep already"):
        plan_sweep(train_records, tmp_path / "a", space, TINY_RUN)


@pytest.mark.parametrize(
    ("space", "settings", "message"),
    [
        ({"epochs": Range(0, 5)}, {}, "epochs is 0; it needs 1 to"),
        ({"variant": Choices(("bn", "vgg"))}, {}, "variant is 'vgg'; it needs one of"),
        ({"image_size": Choices((67, 99))}, {}, "hold 72 px squares"),
        ({"batch_size": Choices((8, 64))}, {}, "64"),
        ({"speed": Choices((1,))}, {}, "has no settings speed"),
        (RATES, {"hurry": 1}, "has no settings hurry"),
        ({}, {}, "vary is {}; it needs"),
    ],
)
def test_what_does_not_fit_is_told_before_the_first_trial(
    train_records: Path,
    tmp_path: Path,
    space: Space,
    settings: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ConfigError) as error:
        plan_sweep(train_records, tmp_path / "a", space, {**TINY_RUN, **settings})
    assert message in str(error.value)


def test_a_sweep_grows_and_does_not_shrink(make_plan: MakePlan) -> None:
    plan = make_plan(RANGE, trials=4)
    plan.save()
    assert load_plan(plan.folder, 9).trials == 9
    with pytest.raises(ConfigError, match="trials is 3; it needs 4 or more"):
        load_plan(plan.folder, 3)
    make_plan(RATES, trials=6, is_grid=True).save()
    with pytest.raises(ConfigError, match="a grid has its own number of trials"):
        load_plan(plan.folder, 9)


@pytest.mark.parametrize("text", ["[]", "{}", "{", '{"format": 1}', '{"format": 2}'])
def test_a_plan_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(RunError, match="is damaged or of another version"):
        load_plan(tmp_path)
    with pytest.raises(RunError, match=r"no sweep in this folder: \S*gone"):
        load_plan(tmp_path / "gone")


def test_a_plan_with_more_is_of_another_version(make_plan: MakePlan) -> None:
    plan = make_plan(RANGE)
    plan.save()
    values = json.loads(plan.path.read_text())
    plan.path.write_text(json.dumps({**values, "budget": 3}))
    with pytest.raises(RunError, match="another version"):
        load_plan(plan.folder)


def test_settings_are_options_of_the_command() -> None:
    settings = {
        "learning_rate": 0.1,
        "mixed_precision": True,
        "xla": False,
        "patience": None,
        "ram_budget_bytes": 2**30,
        "network": "own:build",
        "freeze": ("conv1", "conv2"),
    }
    assert option_words(settings) == [
        *("--learning-rate", "0.1", "--mixed-precision", "--no-xla"),
        *("--ram-budget", str(2**30), "--network", "own:build"),
        *("--freeze", "conv1", "conv2"),
    ]
