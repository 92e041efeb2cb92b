"""Execute the plan of a run: Keras's `fit` under the strategy, resumed exactly."""

from __future__ import annotations

import shutil
from collections.abc import Callable
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
from model.config import TrainConfig
from model.gpu import GpuMonitor
from model.hardware import Hardware, set_up_hardware
from model.optimizer import make_learning_rate, make_optimizer
from model.plan import TrainPlan, make_run_config
from model.report import FitReport
from model.run import EpochRecord, RunConfig, RunFolder
from pipeline.dataset import eval_dataset, steps_per_epoch, train_dataset
from pipeline.errors import DataError
from pipeline.order import Share
from pipeline.reader import open_records
from pipeline.verify import require_whole_shards


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
        validation = None
        if plan.validation_steps is not None:
            validation = _batches(
                hardware,
                config.batch_size,
                lambda share: eval_dataset(plan.records, plan.read, share=share),
            )
        try:
            classifier.fit(
                _batches(
                    hardware,
                    config.batch_size,
                    lambda share: train_dataset(
                        plan.records, plan.read, share, hardware.copy_device, done
                    ),
                ),
                initial_epoch=done,
                epochs=config.epochs,
                steps_per_epoch=steps,
                validation_data=validation,
                validation_steps=plan.validation_steps,
                callbacks=callbacks,
                verbose=0,
            )
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError):
            _blame_damaged_shard(plan)
            raise


def _blame_damaged_shard(plan: TrainPlan) -> None:
    """Find the shard that TensorFlow's error was about and does not name.

    Raises:
        DataError: a shard is damaged; none is when the error had another cause.
    """
    try:
        require_whole_shards(plan.records)
    except DataError as error:
        raise DataError(
            f"{error} Then go on with `alexnet fit --run {plan.run.path} --resume`."
        ) from error


def _tensorboard(plan: TrainPlan) -> keras.callbacks.Callback:
    return keras.callbacks.TensorBoard(str(plan.run.logs_path), write_graph=False)


def _batches(
    hardware: Hardware, batch_size: int, make: Callable[[Share], tf.data.Dataset]
) -> Any:
    """What `make` returns, shared among the strategy's workers and replicas."""
    if hardware.kind == "none":
        return make(Share(batch_size))

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return make(
            Share(
                batch_size,
                hardware.num_replicas,
                context.num_input_pipelines,
                context.input_pipeline_id,
            )
        )

    return hardware.strategy.distribute_datasets_from_function(of_worker)


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
    run_config = make_run_config(data, records, settings, None)
    steps = steps_per_epoch(records, config.batch_size)
    with hardware.strategy.scope():
        classifier = make_classifier(run_config, hardware, steps)

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> Any:
        batch = (images, labels)
        return hardware.strategy.run(classifier.train_step, args=(batch,))

    return step
