"""`fit`, the function: train a network on records as `alexnet fit` does."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import fields, replace
from os import PathLike
from pathlib import Path
from typing import Any

from alexnet.model.config import CHECKPOINT_MINUTES, NetworkConfig, TrainConfig
from alexnet.model.network.own import NetworkFunction
from alexnet.model.recipe import RecipeName, gather_settings
from alexnet.model.training import training
from alexnet.model.training.hardware import cluster_to_join, set_up_hardware
from alexnet.model.training.multi_worker import new_run
from alexnet.model.training.notebook_progress import default_progress
from alexnet.model.training.plan import plan_training
from alexnet.model.training.progress import Progress
from alexnet.model.training.report import FitReport
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import as_place


def fit(
    data: str | PathLike[str] | Location | OpenedSet | None = None,
    *,
    run: str | PathLike[str] | None = None,
    network: str | NetworkFunction | None = None,
    recipe: RecipeName | None = None,
    config: str | PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
    data_service: str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> FitReport:
    """Train a network, or go on with a run, and return what it has reached.

    Args:
        data: a record set, its folder or its URL, or photos: a folder of them, a zip,
            or a CSV that names them. A resumed run knows its own.
        run: the run's folder; by default runs/<date-time> in the current folder.
        network: a function of (num_classes, image_size) that returns a `keras.Model`
            with one input, float [batch, image_size, image_size, 3], normalised as the
            augmentation has it, and logits [batch, num_classes]; or its name,
            "module:function". A final softmax is taken off. Without it the network is
            the AlexNet of `variant`. A function that cannot be imported, such as a
            lambda, leaves its architecture in the run, for `evaluate`, `predict` and
            `export`; to resume, pass it again.
        recipe: settings that ship with alexnet: "article", "paper", "fast" or "best".
        config: a TOML file of settings, which win over the recipe's.
        resume: go on from the run's last state, with the run's own settings.
        overwrite: delete the run that is in the folder first.
        checkpoint_minutes: between saved states, besides every epoch's.
        data_service: HOST:PORT of a dispatcher, as `alexnet data-service` starts one,
            whose workers make the batches. They are those that this process would make.
        progress: hears of steps and epochs; by default a notebook shows a bar.
        **settings: fields of `NetworkConfig` and `TrainConfig`, such as `epochs`,
            `batch_size`, `augment`, `learning_rate`, `mixed_precision`, `seed`; they
            win over both.

    Raises:
        ConfigError: a setting is unknown, out of range, or does not fit the records.
        DataError: the records cannot be used, or a shard is damaged.
        ReadError: no data service answers.
        RunError: the run folder is taken, missing or of other settings, another process
            trains there, the loss has diverged, or the disk is full.
        KeyboardInterrupt: the process was asked to stop; the state is saved.
    """
    if resume and overwrite:
        raise ConfigError("`resume=True` goes on, `overwrite=True` deletes: choose one")
    if resume and run is None:
        raise ConfigError("`resume=True` needs `run`, the folder of the run")
    _require_known(settings)
    if network is not None:
        settings["network"] = network
    settings = gather_settings(recipe, Path(config) if config else None, settings)
    if isinstance(data, OpenedSet):
        settings = {**cache_settings(data), **settings}
        data = data.place
    progress = progress or default_progress()
    plan = plan_training(
        as_place(data) if data is not None else None,
        RunFolder(Path(run)) if run else None,
        settings,
        resume=resume,
        overwrite=overwrite,
        checkpoint_minutes=checkpoint_minutes,
        data_service=data_service,
    )
    if cluster := cluster_to_join(plan.config.train):
        progress.join(cluster)
    hardware = set_up_hardware(plan.config.train)
    with nullcontext(plan.run) if run else new_run(plan.run, hardware) as made:
        plan = replace(plan, run=made)
        progress.plan(plan, hardware)
        return training.train(plan, hardware, progress)


def cache_settings(records: OpenedSet) -> dict[str, Any]:
    """The settings that say where a set that is opened keeps its shards."""
    if records.remote is None:
        return {}
    cache = records.remote.cache
    return {"cache": str(cache.folder), "cache_limit_bytes": cache.limit_bytes}


def _require_known(settings: dict[str, Any]) -> None:
    known = [x.name for config in (NetworkConfig, TrainConfig) for x in fields(config)]
    known.remove("num_classes")  # the records'
    if unknown := sorted(set(settings) - set(known)):
        names = ", ".join(sorted(known))
        raise ConfigError(f"unknown settings: {', '.join(unknown)} (known: {names})")
