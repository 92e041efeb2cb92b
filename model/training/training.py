"""Execute the plan of a run under its strategy, resumed exactly."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import SAVED_NETWORK, TrainConfig
from alexnet.model.network.own import describe_network
from alexnet.model.training.checkpoints import Checkpoints, latest, reason
from alexnet.model.training.epoch_log import LOGS
from alexnet.model.training.execution import step_function
from alexnet.model.training.hardware import Hardware, set_up_hardware
from alexnet.model.training.history import EpochRecord
from alexnet.model.training.initial import start_from
from alexnet.model.training.loop import ResumePoint, TrainingLoop
from alexnet.model.training.make_classifier import build_replicated, make_classifier
from alexnet.model.training.multi_worker import (
    from_chief,
    loss_told,
    require_chiefs_plan,
)
from alexnet.model.training.plan import TrainPlan, make_run_config
from alexnet.model.training.progress import Progress
from alexnet.model.training.report import FitReport
from alexnet.model.training.run import RunFolder
from alexnet.model.training.same_run import require_same_settings
from alexnet.model.training.shared_folder import is_seen
from alexnet.pipeline.errors import DataError, RunError
from alexnet.pipeline.files import count
from alexnet.pipeline.read.dataset import steps_per_epoch
from alexnet.pipeline.read.errors import raise_data_error
from alexnet.pipeline.read.image_folder import open_data
from alexnet.pipeline.remote.place import Place

# What `fit`, `plot` and `evaluate` draw in a run's folder.
PICTURES = ("curves", "filters", "predictions", "mistakes", "confusion*")


def train(plan: TrainPlan, hardware: Hardware, progress: Progress) -> FitReport:
    """Train as planned, from the run's last checkpoint where it is resumed.

    Raises:
        RunError: another process trains there, the loss blew up, a checkpoint does not
            fit, or the disk is full.
        DataError: a shard is damaged.
    """
    with loss_told(hardware, plan.run):
        if not hardware.is_chief:
            return _train(plan, hardware, progress)
        with plan.run.sole_training():
            return _train(plan, hardware, progress)


def _train(plan: TrainPlan, hardware: Hardware, progress: Progress) -> FitReport:
    config, run = plan.config.train, plan.run
    require_chiefs_plan(hardware, plan)
    keras.utils.set_random_seed(config.seed)
    network = build_replicated(plan.config.network, hardware, plan.function)
    if config.init_from:
        plan = _start_from(plan, Path(config.init_from), network, hardware, progress)
    averaged = None
    if config.ema:
        averaged = build_replicated(plan.config.network, hardware, plan.function)
    with hardware.strategy.scope():
        classifier = make_classifier(
            network,
            plan.config.augment,
            config,
            hardware,
            plan.steps_per_epoch,
            plan.config.initial,
            averaged,
            plan.records.manifest.splits["train"].class_counts,
            plan.image_sides.sides,
        )
    if hardware.is_chief:
        _take_over(plan)
        if plan.config.network.network == SAVED_NETWORK:
            run.save_network(describe_network(classifier.network))
        run.save_config(plan.config, hardware.machine)
    from_chief(hardware, "the settings are written")
    if not is_seen(run.config_path, seconds=5):
        progress.unseen(run)
    checkpoints = Checkpoints(run, classifier, hardware.is_chief)
    done = 0
    if plan.resume:
        done = checkpoints.restore_last(partial(from_chief, hardware))
    start = ResumePoint(*divmod(done, plan.steps_per_epoch), plan.steps_per_epoch)
    history = _chiefs_history(run, start, hardware) if plan.resume else []
    if hardware.is_chief:
        checkpoints.sweep()
    loop = TrainingLoop(plan, hardware, classifier, checkpoints, history, start)
    if not config.epochs and not done:
        checkpoints.save(0, 0)
    if not loop.is_over():
        try:
            with loss_told(hardware, run):
                loop.run(progress)
        except (tf.errors.OpError, DataError) as error:
            _blame_data(plan, error)
            _blame_room(run, error)
            raise
    counts = plan.records.manifest.splits["validation"].class_counts
    spent = config.patience if len(history) < config.epochs else None
    return FitReport(run.path, tuple(history), counts, spent)


def _start_from(
    plan: TrainPlan,
    source: Path,
    network: keras.Model,
    hardware: Hardware,
    progress: Progress,
) -> TrainPlan:
    """Set the weights that a run starts from, unless it has a state of its own.

    Raises:
        AlexnetError: they cannot be read, or do not fit.
    """
    if plan.config.initial and latest(plan.run.checkpoints_path("last")):
        return plan
    names = plan.config.class_names
    initial = start_from(source, network, names, hardware.strategy)
    progress.initial(str(source), initial)
    return replace(plan, config=replace(plan.config, initial=initial))


def _take_over(plan: TrainPlan) -> None:
    """Look at the folder again, now that it is ours, and empty it for `overwrite`.

    Raises:
        RunError: another process has begun the run meanwhile, or gone on with it.
    """
    run = plan.run
    if plan.former:
        require_same_settings(run, run.load_config(), plan.config)
    elif not plan.overwrite:
        run.require_free()
    elif run.is_taken():
        _remove_run(run)


def _remove_run(run: RunFolder) -> None:
    """Delete what a run made, and nothing else.

    Its settings first, then its states: see `RunFolder.is_taken`.
    """
    run.config_path.unlink(missing_ok=True)
    states = [run.checkpoints_path(name) for name in ("last", "best")]
    logs = [run.logs_path / name for name in LOGS]
    for folder in (*states, *logs):
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # someone else's files are in it
            folder.parent.rmdir()
    for path in (run.history_path, run.network_path):
        path.unlink(missing_ok=True)
    for name in PICTURES:
        for picture in run.path.glob(f"{name}.png"):
            picture.unlink()


def _chiefs_history(
    run: RunFolder, start: ResumePoint, hardware: Hardware
) -> list[EpochRecord]:
    """The records of the epochs before `start`, as the chief reads them."""
    mine = _history(run, start) if hardware.is_chief else []
    chiefs = from_chief(hardware, json.dumps([asdict(record) for record in mine]))
    return [EpochRecord(**record) for record in json.loads(chiefs)]


def _history(run: RunFolder, start: ResumePoint) -> list[EpochRecord]:
    """The records of the epochs before `start`; one more may not have been saved.

    Raises:
        RunError: some are missing, or the states are.
    """
    history = run.load_history()
    lost = start == ResumePoint(0, 0, start.steps_per_epoch) and len(history) > 1
    if lost or len(history) < start.epoch:
        raise RunError(
            f"{run.history_path} holds {count(len(history), 'epoch')}, and the last"
            f" state in {run.path} has {start.epoch} behind it. Put back what is"
            " missing, or start the run again with `overwrite=True`."
        )
    return history[: start.epoch]


def _blame_data(plan: TrainPlan, error: Exception) -> None:
    """Say what an error was about, where that is the data, and how to go on.

    Raises:
        DataError: a shard is damaged, or a photo cannot be used.
    """
    try:
        raise_data_error(plan.records, error)
    except DataError as found:
        raise DataError(
            f"{found} Then go on with `{plan.run.resume_command}`."
        ) from error


def _blame_room(run: RunFolder, error: Exception) -> None:
    """Say what an error was about, where that is the disk or the memory.

    Raises:
        RunError: one of them is full.
    """
    if not isinstance(error, tf.errors.ResourceExhaustedError):
        return
    told = reason(error)
    if "No space left" in told:
        raise RunError(
            f"{told}. What was saved is kept: make room, then go on with"
            f" `{run.resume_command}`."
        ) from error
    raise RunError(
        f"out of memory: {told}. Start another run with a smaller `batch_size` or"
        " `width`, or with `mixed_precision=True`."
    ) from error


def make_train_step(
    data: Place, config: TrainConfig, image_size: int
) -> Callable[[tf.Tensor, tf.Tensor], Any]:
    """One training step on a batch, as `fit` takes it, for the bench to time.

    Raises:
        ConfigError: the settings do not fit the records.
        DataError: the records cannot be used.
    """
    hardware = set_up_hardware(config)
    records = open_data(data, read=config)
    settings = {"image_size": image_size, **config.to_json()}
    run = make_run_config(data, records, settings, None)
    steps = steps_per_epoch(records, config.batch_size)
    network = build_replicated(run.network, hardware)
    with hardware.strategy.scope():
        classifier = make_classifier(
            network,
            run.augment,
            run.train,
            hardware,
            steps,
            class_counts=records.manifest.splits["train"].class_counts,
        )
    return step_function(classifier, hardware.strategy)
