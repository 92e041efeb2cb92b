"""What `fit` is to do, told before it begins: the plan, the device, the run folder."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from alexnet.cli.console import say
from alexnet.cli.source import say_source
from alexnet.pipeline.files import count, format_bytes
from alexnet.pipeline.machine import bfloat16_is_slow

if TYPE_CHECKING:
    from alexnet.model.training.hardware import Hardware
    from alexnet.model.training.plan import TrainPlan


def fit_command(data: object = None) -> str:
    """Return the command to train on a record set with, as fast as this machine can."""
    from alexnet.benchmarks.doctor.gpus import count_nvidia_devices

    words = ["alexnet fit"] if data is None else ["alexnet fit", quote(str(data))]
    gains = count_nvidia_devices() or not bfloat16_is_slow()
    return " ".join([*words, "--mixed-precision"] if gains else words)


def say_plan(plan: TrainPlan, hardware: Hardware, verbose: bool) -> None:
    """Print what will be trained, on what, and where it goes."""
    config, splits = plan.config, plan.records.manifest.splits
    if plan.records.source is not None:
        say_source(plan.records.place, plan.records.source, verbose)
    say(
        f"{config.data}: {splits['train'].num_examples:,} train and"
        f" {count(splits['validation'].num_examples, 'validation example')};"
        f" {count(plan.steps_per_epoch, 'step')} of {config.train.batch_size} an epoch"
    )
    _say_fetching(plan)
    say(
        f"{config.network.name} network, augmentation {config.train.augment};"
        f" {hardware.describe()}"
    )
    if hardware.policy == "mixed_bfloat16" and bfloat16_is_slow():
        say(
            "warning: this CPU has no instructions for bfloat16: a step may take many"
            " times as long as with --no-mixed-precision"
        )
    if plan.data_service:
        say(f"batches are made by the data service at {plan.data_service}")
    _say_scale(plan)
    _say_sides(plan)
    _say_stretch(plan)
    if verbose:
        say(f"reader {config.train.reader}: {config.reader_reason}")
    say(f"run folder {plan.run.path}")


def _say_fetching(plan: TrainPlan) -> None:
    """Print what of a store is fetched when, and where its shards are kept."""
    from alexnet.pipeline.read.stream import shuffle_size

    if plan.records.source and plan.records.source.store.is_remote:
        say(
            "every epoch fetches all photos again: `alexnet records build"
            f" {quote(plan.config.data)}` makes records, which are fetched once"
        )
    train = plan.config.train
    if (remote := plan.records.remote) is None:
        return
    size = shuffle_size(plan.records.manifest.split("train"), train.ram_budget_bytes)
    streams = (
        "streams shards in shuffled order as they arrive, through a shuffle buffer of"
        f" {count(size, 'record')}"
    )
    reading = {
        "stream": f"every epoch {streams}",
        "stream-first": f"the first epoch {streams}; the others are mapped",
        "mmap": "all of the train split is fetched before the first step",
    }
    say(
        f"cache {remote.cache.folder}, limit {format_bytes(remote.cache.limit_bytes)}:"
        f" {len(remote.here()):,} of {count(len(remote.manifest.shards), 'shard')} are"
        f" there; {reading[train.reader]}"
    )


def _say_scale(plan: TrainPlan) -> None:
    """Print a note on pictures that are much larger than what is cut of them."""
    from alexnet.pipeline.augment.affine import CROP, STORED, scaled_side

    stored, side = plan.config.stored_side, plan.config.network.image_size
    geometry = plan.config.augment.geometry
    scaled = scaled_side(stored, side, geometry)
    if geometry in ("centre", "crop") and scaled < stored:
        say(
            f"pictures of {stored} px are scaled to {scaled} px first, so that a crop"
            f" of {side} px covers what {CROP} px cover of {STORED} px"
        )


def _say_sides(plan: TrainPlan) -> None:
    """Print the stages of a run whose images become larger."""
    *smaller, full = plan.image_sides.sides
    if smaller:
        sides = ", ".join(str(side) for side in smaller)
        say(
            f"images of {sides} and then {full} px, as many epochs each; validation"
            f" at {full} px"
        )


def _say_stretch(plan: TrainPlan) -> None:
    """Print what becomes of the learning rate in a run that gets more epochs."""
    train = plan.config.train
    if not plan.former or train.schedule == "constant":
        return
    before, now = plan.former.train.falling_epochs, train.falling_epochs
    if before != now:
        say(
            f"from {before} to {now} epochs: the learning rate now falls over all"
            f" {now}, and rises again where it had fallen. Begun with --decay-epochs"
            f" {now}, a run in parts takes the steps of an unbroken one."
        )
