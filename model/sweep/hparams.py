"""A sweep in TensorBoard: its HPARAMS page sets each trial's values beside its figures.

Without TensorFlow, which would take the GPUs that the trials train on: a log is a
TFRecord file of events.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet.model.sweep.space import Choices, Range
from alexnet.pipeline.records.tfrecord import write_shard

if TYPE_CHECKING:
    from alexnet.model.sweep.plan import SweepPlan
    from alexnet.model.training.run import RunFolder

# TensorBoard knows its files by the word; written again, it is the same file.
NAME = "events.out.tfevents.hparams"
# Scalars of a run's log, the part of the log they are in, and what heads their columns.
METRICS = (
    ("epoch_accuracy", "validation", "validation accuracy"),
    ("epoch_loss", "validation", "validation loss"),
    ("epoch_images_per_second", "train", "images/s"),
)


def log_sweep(plan: SweepPlan) -> None:
    """Tell TensorBoard of the settings that vary and of the figures to compare."""
    from tensorboard.plugins.hparams import summary_v2 as hparams

    columns = [hparams.HParam(k, _domain(v)) for k, v in plan.space.items()]
    metrics = [
        hparams.Metric(tag, group=log, display_name=title)
        for tag, log, title in METRICS
    ]
    _write(plan.logs_path, hparams.hparams_config_pb(columns, metrics))


def log_trial(plan: SweepPlan, run: RunFolder, values: dict[str, Any]) -> None:
    """Tell TensorBoard of a trial's values, beside the figures that its run logs."""
    from tensorboard.plugins.hparams import summary_v2 as hparams

    plain = {name: _kind(plan.space[name])(value) for name, value in values.items()}
    _write(run.logs_path, hparams.hparams_pb(plain, trial_id=run.path.name))


def _kind(values: Choices | Range) -> type:
    """Return the type of a setting's column: text, where its values are of several."""
    kinds = {type(value) for value in values.extremes}
    if kinds <= {int, float}:
        return float
    return bool if kinds == {bool} else str


def _domain(values: Choices | Range) -> Any:
    from tensorboard.plugins.hparams import summary_v2 as hparams

    plain = [_kind(values)(value) for value in values.extremes]
    if isinstance(values, Range):
        return hparams.RealInterval(*plain)
    return hparams.Discrete(plain)


def _write(folder: Path, summary: Any) -> None:
    from tensorboard.compat.proto.event_pb2 import Event

    now = time.time()
    events = [
        Event(wall_time=now, file_version="brain.Event:2"),
        Event(wall_time=now, summary=summary),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    write_shard(folder / NAME, (event.SerializeToString() for event in events))
