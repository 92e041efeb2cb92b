"""Train a network on a record set: plan, execute, report.

The plan is settings checked against the records and the run folder; execution is
Keras's `fit` under the strategy; the report is what is printed and saved.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow import keras

from model.alexnet import build_network
from model.callbacks import (
    Checkpoints,
    CheckpointSaver,
    EpochRecorder,
    Progress,
    ProgressCallback,
)
from model.classifier import Classifier
from model.config import NetworkConfig, TrainConfig
from model.gpu import GpuMonitor
from model.hardware import Hardware, set_up_hardware
from model.optimizer import make_learning_rate, make_optimizer
from model.run import (
    EpochRecord,
    RunConfig,
    RunFolder,
    describe_data,
    require_same_settings,
)
from pipeline.config import ReadConfig
from pipeline.dataset import eval_dataset, steps_per_epoch, train_dataset
from pipeline.errors import ConfigError, DataError, RunError
from pipeline.order import Share
from pipeline.presets import preset
from pipeline.reader import RecordSet, open_records

# Around a TFRecord's data: its length (8 bytes), and a checksum (4) of each.
FRAME_BYTES = 16


@dataclass(frozen=True)
class TrainPlan:
    """A run that can be executed: settings that fit the records and the folder."""

    run: RunFolder
    config: RunConfig
    records: RecordSet
    read: ReadConfig
    resume: bool

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch."""
        return steps_per_epoch(self.records, self.config.train.batch_size)

    @property
    def validation_steps(self) -> int | None:
        """Batches of a validation, the last one padded; None without a split."""
        count = self.records.manifest.splits["validation"].num_examples
        return -(-count // self.config.train.batch_size) or None


@dataclass(frozen=True)
class FitReport:
    """What a run has reached; its last epoch's figures, and how input fared in all."""

    run: Path
    history: tuple[EpochRecord, ...]

    @property
    def last(self) -> EpochRecord:
        """The last epoch."""
        return self.history[-1]

    @property
    def images_per_second(self) -> float:
        """Training speed over all epochs."""
        images = sum(epoch.images_per_second * epoch.seconds for epoch in self.history)
        return images / sum(epoch.seconds for epoch in self.history)

    @property
    def input_wait_share(self) -> float:
        """Share of the training time spent waiting for batches, over all epochs."""
        waited = sum(epoch.input_wait_share * epoch.seconds for epoch in self.history)
        return waited / sum(epoch.seconds for epoch in self.history)

    def to_json(self) -> dict[str, Any]:
        """The report's promised fields."""
        last = self.last
        validation = None
        if last.val_loss is not None:
            validation = {"loss": last.val_loss, "accuracy": last.val_accuracy}
        return {
            "run": str(self.run),
            "epochs": last.epoch,
            "step": last.step,
            "train": {"loss": last.loss, "accuracy": last.accuracy},
            "validation": validation,
            "images_per_second": self.images_per_second,
            "input_wait_share": self.input_wait_share,
        }


def plan_training(
    data: Path | None,
    run: RunFolder,
    settings: dict[str, Any],
    *,
    resume: bool = False,
    fresh: bool = False,
) -> TrainPlan:
    """The plan of a run on the records in `data`; None is where a resumed run's are.

    `settings` are the NetworkConfig and TrainConfig values that were asked for; the
    others are the run's own when it is resumed, and the defaults otherwise.

    Raises:
        ConfigError: the settings do not fit each other or the records.
        DataError: the records cannot be used.
        RunError: the run folder is taken, missing, or of other settings.
    """
    old = run.load_config() if resume else None
    if data is None and old is not None:
        data = Path(old.data)
    if data is None:
        raise ConfigError("a new run needs the folder of its records")
    if run.exists() and not (resume or fresh):
        raise RunError(
            f"{run.path} holds a run already. Go on with it with --resume, or delete it"
            " and start again with --fresh."
        )
    records = open_records(data)
    config = _make_config(data, records, settings, old)
    if old is not None:
        require_same_settings(run, old, config)
    steps_per_epoch(records, config.train.batch_size)  # refuses too large a batch
    asked = config.train
    read = ReadConfig(asked.batch_size, asked.seed, asked.ram_budget_bytes)
    return TrainPlan(run, config, records, read, resume)


def _make_config(
    data: Path, records: RecordSet, settings: dict[str, Any], old: RunConfig | None
) -> RunConfig:
    names = records.manifest.class_names
    if len(names) < 2:
        raise ConfigError(
            f"the records hold one class only ({names[0]}), and telling classes apart"
            " needs two or more. Build them from a source with several classes."
        )
    if old is not None and old.class_names != names:
        raise RunError(
            f"the run was trained on the classes {', '.join(old.class_names)}; the"
            f" records in {data} hold {', '.join(names)}"
        )
    network = old.network if old else NetworkConfig(num_classes=len(names))
    network = _replaced(network, settings)
    train = _with_horizon(
        old.train if old else TrainConfig(), settings, resumed=bool(old)
    )
    _require_side(records, network.image_size)
    return RunConfig(
        **describe_data(data, records.manifest),
        network=network,
        augment=preset(train.augment),
        train=train,
    )


def _replaced(config: Any, settings: dict[str, Any]) -> Any:
    known = {k: v for k, v in settings.items() if k in config.__dataclass_fields__}
    return replace(config, **known)


def _with_horizon(
    train: TrainConfig, settings: dict[str, Any], resumed: bool
) -> TrainConfig:
    """The settings, with a schedule that is as long as the run where it is longer."""
    if not resumed and "decay_epochs" not in settings:
        longest = max(train.decay_epochs, settings.get("epochs", 0))
        train = replace(train, decay_epochs=longest)
    return _replaced(train, settings)


def _require_side(records: RecordSet, image_size: int) -> None:
    side = records.manifest.config.side
    if side < image_size:
        raise ConfigError(
            f"the records in {records.folder} hold {side} px squares; the network takes"
            f" {image_size} px. Build them with --side {image_size} or more, or train"
            f" with --image-size {side} or less."
        )


def train(plan: TrainPlan, hardware: Hardware, progress: Progress) -> FitReport:
    """Train as planned, from the run's last checkpoint where it is resumed.

    Raises:
        RunError: the loss blew up, or a checkpoint does not fit.
        DataError: a shard is damaged.
    """
    config, run = plan.config.train, plan.run
    if hardware.is_chief and not plan.resume and run.exists():
        _remove_run(run)
    keras.utils.set_random_seed(config.seed)
    with hardware.strategy.scope():
        classifier = make_classifier(plan.config, hardware, plan.steps_per_epoch)
    if hardware.is_chief:
        run.save_config(plan.config)
    checkpoints = Checkpoints(run, classifier, hardware.is_chief)
    done = checkpoints.restore_last() if plan.resume else 0
    history = [record for record in run.load_history() if record.epoch <= done]
    if done < config.epochs:
        _fit(plan, hardware, classifier, checkpoints, history, done, progress)
    return FitReport(run.path, tuple(history))


def _remove_run(run: RunFolder) -> None:
    """Delete what a run made, its settings first, and nothing else."""
    run.config_path.unlink()
    run.history_path.unlink(missing_ok=True)
    for folder in (run.checkpoints_path("last").parent, run.logs_path):
        shutil.rmtree(folder, ignore_errors=True)
    for picture in run.path.glob("*.png"):
        picture.unlink()


def make_classifier(config: RunConfig, hardware: Hardware, steps: int) -> Classifier:
    """The compiled classifier, fresh weights, in the current strategy's scope.

    `steps` are those of an epoch.
    """
    # Replicas cannot meet inside a compiled function: there each normalises alone.
    together = hardware.num_replicas > 1 and not hardware.xla
    network = build_network(config.network, synchronized_norm=together)
    classifier = Classifier(
        network,
        config.augment,
        loss=config.train.loss,
        global_batch=config.train.batch_size,
        seed=config.train.seed,
        xla=hardware.xla,
    )
    classifier.compile(
        optimizer=make_optimizer(config.train, steps),
        jit_compile=False,
        weighted_metrics=[],  # the test step weighs by hand; this says that it knows
        steps_per_execution=config.train.steps_per_execution,
    )
    return classifier


def _fit(
    plan: TrainPlan,
    hardware: Hardware,
    classifier: Classifier,
    checkpoints: Checkpoints,
    history: list[EpochRecord],
    done: int,
    progress: Progress,
) -> None:
    config, steps = plan.config.train, plan.steps_per_epoch
    progress.start(done * steps, config.epochs * steps)
    with GpuMonitor(hardware.num_gpus) as gpus:
        recorder = EpochRecorder(
            plan.run,
            history,
            steps,
            config.batch_size,
            make_learning_rate(config, steps),
            lambda record: progress.epoch(record, config.epochs, gpus.take()),
            saves=hardware.is_chief,
        )
        callbacks = [recorder, CheckpointSaver(checkpoints, history)]
        callbacks.append(ProgressCallback(progress, steps))
        if hardware.is_chief:
            callbacks.append(_tensorboard(plan))
        try:
            classifier.fit(
                _train_batches(plan, hardware, done),
                initial_epoch=done,
                epochs=config.epochs,
                steps_per_epoch=steps,
                validation_data=_eval_batches(plan, hardware),
                validation_steps=plan.validation_steps,
                callbacks=callbacks,
                verbose=0,
            )
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError):
            _require_whole_shards(plan)
            raise


def _tensorboard(plan: TrainPlan) -> keras.callbacks.Callback:
    return keras.callbacks.TensorBoard(str(plan.run.logs_path), write_graph=False)


def _require_whole_shards(plan: TrainPlan) -> None:
    """Read every shard through: TensorFlow's own error does not say which one it was.

    Raises:
        DataError: a shard is damaged.
    """
    splits = plan.records.manifest.splits.items()
    for split in [name for name, card in splits if card.num_examples]:
        for path in plan.records.paths(split):
            read = offset = 0
            try:
                for record in tf.data.TFRecordDataset(path):
                    read, offset = read + 1, offset + FRAME_BYTES + len(record.numpy())
            except tf.errors.DataLossError as error:
                raise DataError(
                    f"{path} is damaged at record {read}, byte {offset}. Build the"
                    " records again with --overwrite, then go on with --run"
                    f" {plan.run.path} --resume."
                ) from error


def _train_batches(plan: TrainPlan, hardware: Hardware, first_epoch: int) -> Any:
    def batches(context: tf.distribute.InputContext | None = None) -> tf.data.Dataset:
        return train_dataset(
            plan.records,
            plan.read,
            _share(plan, hardware, context),
            hardware.copy_device,
            first_epoch,
        )

    if hardware.kind == "none":
        return batches()
    return hardware.strategy.distribute_datasets_from_function(batches)


def _eval_batches(plan: TrainPlan, hardware: Hardware) -> Any:
    if plan.validation_steps is None:
        return None

    def batches(context: tf.distribute.InputContext | None = None) -> tf.data.Dataset:
        share = _share(plan, hardware, context)
        return eval_dataset(plan.records, plan.read, "validation", share)

    if hardware.kind == "none":
        return batches()
    return hardware.strategy.distribute_datasets_from_function(batches)


def _share(
    plan: TrainPlan, hardware: Hardware, context: tf.distribute.InputContext | None
) -> Share:
    batch_size = plan.config.train.batch_size
    if context is None:
        return Share(batch_size)
    return Share(
        batch_size,
        hardware.num_replicas,
        context.num_input_pipelines,
        context.input_pipeline_id,
    )


def make_train_step(
    data: Path, config: TrainConfig, image_size: int
) -> Callable[[tf.Tensor, tf.Tensor], Any]:
    """One training step on a batch, as `fit` takes it, for the bench to time.

    Raises:
        ConfigError: the settings do not fit the records.
        DataError: the records cannot be used.
    """
    hardware = set_up_hardware(config)
    records = open_records(data)
    settings = {"image_size": image_size, **config.to_json()}
    run_config = _make_config(data, records, settings, None)
    steps = steps_per_epoch(records, config.batch_size)
    with hardware.strategy.scope():
        classifier = make_classifier(run_config, hardware, steps)

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> Any:
        batch = (images, labels)
        return hardware.strategy.run(classifier.train_step, args=(batch,))

    return step
