"""What TensorBoard's own HPARAMS page makes of a sweep."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import (
    EventMultiplexer,
)
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams.hparams_plugin import HParamsPlugin
from werkzeug.test import Client

from alexnet.model.sweep.hparams import log_sweep, log_trial
from alexnet.model.sweep.plan import SweepPlan
from alexnet.model.sweep.space import Choices, Range
from alexnet.model.training.epoch_log import EpochLog
from alexnet.model.training.run import RunFolder
from tests.model.sweep.conftest import MakePlan
from tests.model.sweep.stand_in import record

SPACE = {
    "learning_rate": Range(0.001, 0.1, log=True),
    "batch_size": Choices((32, 128)),
    "ema": Choices((None, 0.999)),
    "mixed_precision": Choices((True, False)),
}


@pytest.fixture
def plan(make_plan: MakePlan) -> SweepPlan:
    plan = make_plan(SPACE)
    log_sweep(plan)
    for number, rate in enumerate((0.01, 0.02)):
        run = RunFolder(plan.run_path(number))
        values = {"batch_size": 128, "ema": None, "mixed_precision": True}
        log_trial(plan, run, {"learning_rate": rate, **values})
        log = EpochLog(run.logs_path)
        log.write(record(rate, 1, 2))
        log.write(record(rate, 2, 2))
    return plan


@pytest.fixture
def ask(plan: SweepPlan) -> Callable[..., Any]:
    """A function that asks TensorBoard what the page asks it."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(plan.folder))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(plan.folder))
    routes = HParamsPlugin(TBContext(data_provider=provider)).get_plugin_apps()

    def ask(route: str, **request: Any) -> Any:
        answer = Client(routes[route]).post("/", json=request)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text)

    return ask


def test_columns_are_the_varied_settings_and_the_figures(
    ask: Callable[..., Any],
) -> None:
    experiment = ask("/experiment")
    columns = {info["name"]: info for info in experiment["hparamInfos"]}
    assert columns.keys() == SPACE.keys()
    ends = columns["learning_rate"]["domainInterval"]
    assert ends == {"minValue": 0.001, "maxValue": 0.1}
    assert columns["batch_size"]["domainDiscrete"] == [32.0, 128.0]
    assert columns["ema"]["domainDiscrete"] == ["0.999", "None"]
    assert columns["mixed_precision"]["type"] == "DATA_TYPE_BOOL"
    titles = [info["displayName"] for info in experiment["metricInfos"]]
    assert titles == ["validation accuracy", "validation loss", "images/s"]


def test_a_trial_has_its_values_and_the_figures_of_its_last_epoch(
    ask: Callable[..., Any],
) -> None:
    metrics = [info["name"] for info in ask("/experiment")["metricInfos"]]
    answer = ask(
        "/session_groups",
        startIndex=0,
        sliceSize=10,
        allowedStatuses=["STATUS_UNKNOWN"],
        colParams=[{"metric": metric} for metric in metrics],
    )
    groups = sorted(answer["sessionGroups"], key=lambda group: group["name"])
    assert [group["name"] for group in groups] == ["0000", "0001"]
    others = {"batch_size": 128, "ema": "None", "mixed_precision": True}
    for group, rate in zip(groups, (0.01, 0.02), strict=True):
        assert group["hparams"] == {"learning_rate": rate, **others}
        figures = [value["value"] for value in group["metricValues"]]
        assert figures == pytest.approx([1 - rate, 0.6, 9.0])


def test_it_takes_no_tensorflow(tmp_path: Path) -> None:
    """Which in the sweep's process would hold GPU memory of its trials."""
    code = (
        "import sys; from pathlib import Path;"
        "from alexnet.model.sweep.hparams import log_sweep;"
        "from alexnet.model.sweep.plan import SweepPlan;"
        "from alexnet.model.sweep.space import Choices;"
        "space = {'seed': Choices((1, 2))};"
        "plan = SweepPlan(folder=Path(sys.argv[1]), data='', settings={}, space=space,"
        " trials=2); log_sweep(plan); print('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert done.stdout == "False\n", done.stderr
