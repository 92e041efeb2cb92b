"""A training in this process: Keras's `fit` from a step of a run to the run's end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from tensorflow import keras

from alexnet.model.training.callbacks import (
    EarlyStop,
    EpochRecorder,
    LossGuard,
    Progress,
    ProgressCallback,
    Start,
    StateSaver,
)
from alexnet.model.training.checkpoints import Checkpoints
from alexnet.model.training.classifier import Classifier
from alexnet.model.training.gpu_monitor import GpuMonitor, Load
from alexnet.model.training.hardware import Hardware
from alexnet.model.training.history import EpochRecord, is_out_of_patience
from alexnet.model.training.multi_worker import agreement
from alexnet.model.training.optimizer import make_learning_rate
from alexnet.model.training.plan import TrainPlan
from alexnet.model.training.signals import StopSignals
from alexnet.pipeline.read.dataset import eval_dataset, train_dataset
from alexnet.pipeline.read.order import PipelineShard


@dataclass(frozen=True)
class Job:
    """What is left of a run: from `start` to the plan's last epoch."""

    plan: TrainPlan
    hardware: Hardware
    classifier: Classifier
    checkpoints: Checkpoints
    history: list[EpochRecord]
    start: Start

    def run(self, progress: Progress) -> None:
        """Finish the epoch that was begun, then train the others."""
        epochs, start = self.plan.config.train.epochs, self.start
        steps = start.steps_per_epoch
        progress.start(start.epoch * steps + start.step, epochs * steps)
        with GpuMonitor(self.hardware.num_gpus) as gpus, StopSignals() as signals:
            callbacks = self._callbacks(progress, gpus, signals)
            validation = self._validation()
            if start.step:
                self._fit(start.epoch, start.epoch + 1, callbacks, validation)
            if not self.is_over():
                self._fit(len(self.history), epochs, callbacks, validation)

    def is_over(self) -> bool:
        """Whether the run has all of its epochs, or no patience left for more."""
        config = self.plan.config.train
        has_all = len(self.history) >= config.epochs
        return has_all or is_out_of_patience(self.history, config.patience)

    def _fit(self, first: int, end: int, callbacks: list, validation: Any) -> None:
        """Keras's `fit` for the epochs from `first` to before `end`."""
        skipped = self.start.skipped(first)
        self.classifier.fit(
            self._batches(
                lambda share: train_dataset(
                    self.plan.records,
                    self.plan.config.train,
                    share,
                    self.hardware.copy_device,
                    first,
                    skipped,
                )
            ),
            initial_epoch=first,
            epochs=end,
            steps_per_epoch=self.start.steps_per_epoch - skipped,
            validation_data=validation,
            validation_steps=self.plan.validation_steps,
            callbacks=callbacks,
            verbose=0,
        )

    def _validation(self) -> Any:
        if self.plan.validation_steps is None:
            return None
        return self._batches(
            lambda share: eval_dataset(
                self.plan.records, self.plan.config.train, share=share
            )
        )

    def _batches(self, make: Callable[[PipelineShard], tf.data.Dataset]) -> Any:
        """What `make` returns, shared among the strategy's workers and replicas."""
        batch_size = self.plan.config.train.batch_size
        if self.hardware.kind == "none":
            return make(PipelineShard(batch_size))

        def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return make(
                PipelineShard(
                    batch_size,
                    self.hardware.num_replicas,
                    context.num_input_pipelines,
                    context.input_pipeline_id,
                )
            )

        return self.hardware.strategy.distribute_datasets_from_function(of_worker)

    def _callbacks(
        self, progress: Progress, gpus: GpuMonitor, signals: StopSignals
    ) -> list[keras.callbacks.Callback]:
        plan, config, start = self.plan, self.plan.config.train, self.start
        rate = make_learning_rate(config, start.steps_per_epoch)
        recorder = EpochRecorder(
            plan.run,
            self.history,
            start,
            config.batch_size,
            rate,
            lambda record: progress.epoch(
                record, config.epochs, Load.of(gpus.take()).describe()
            ),
            saves=self.hardware.is_chief,
        )
        saver = StateSaver(
            self.checkpoints,
            self.history,
            start,
            plan.checkpoint_minutes,
            signals,
            agreement(self.hardware),
        )
        callbacks = [LossGuard(plan.run, start, rate), recorder, saver]
        callbacks.append(EarlyStop(self.history, config.patience))
        callbacks.append(ProgressCallback(progress, start))
        if self.hardware.is_chief:
            logs = str(plan.run.logs_path)
            callbacks.append(keras.callbacks.TensorBoard(logs, write_graph=False))
        return callbacks
