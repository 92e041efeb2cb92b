"""The training loop: from a step of a run to the run's end, epoch after epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import tensorflow as tf

from alexnet.model.training.checkpoints import Checkpoints
from alexnet.model.training.epoch_clock import EpochClock, EpochTime
from alexnet.model.training.epoch_log import EpochLog
from alexnet.model.training.execution import Execution, Training
from alexnet.model.training.gpu_monitor import GpuMonitor, Load
from alexnet.model.training.hardware import Hardware
from alexnet.model.training.history import EpochRecord, is_out_of_patience
from alexnet.model.training.metrics import Metrics
from alexnet.model.training.multi_worker import agreement, part
from alexnet.model.training.pauses import Pauses
from alexnet.model.training.plan import TrainPlan
from alexnet.model.training.progress import Progress
from alexnet.model.training.signals import StopSignals
from alexnet.model.training.train_step import TrainableClassifier
from alexnet.pipeline.inspect.contact_sheet import as_sheet, augmented_samples
from alexnet.pipeline.read.dataset import eval_dataset, train_dataset
from alexnet.pipeline.read.order import PipelineShard


@dataclass(frozen=True)
class ResumePoint:
    """The point from which this process continues a run: a step of an epoch."""

    epoch: int
    step: int
    steps_per_epoch: int

    @property
    def total_steps(self) -> int:
        """Steps of the run before this point."""
        return self.epoch * self.steps_per_epoch + self.step


@dataclass(frozen=True)
class TrainingLoop:
    """The rest of a run: from `start` to the plan's last epoch."""

    plan: TrainPlan
    hardware: Hardware
    classifier: TrainableClassifier
    checkpoints: Checkpoints
    history: list[EpochRecord]
    start: ResumePoint

    def run(self, progress: Progress) -> None:
        """Finish the epoch that was begun, then train the others."""
        plan, config, start = self.plan, self.plan.config.train, self.start
        progress.start(start.total_steps, config.epochs * start.steps_per_epoch)
        log, clock = EpochLog(plan.run.logs_path), EpochClock()
        execution_at = lru_cache(1)(partial(self._make_execution, clock=clock))
        agree = agreement(self.hardware)
        with GpuMonitor(self.hardware.num_gpus) as gpus, StopSignals() as signals:
            pauses = Pauses(
                self.checkpoints,
                start.steps_per_epoch,
                plan.checkpoint_minutes,
                signals,
                agree,
                progress,
                clock,
            )
            batches = iter(self._train_batches())
            if self.hardware.is_chief and not start.total_steps:
                log.write_picture("augmented_samples", self._draw_samples(), epoch=1)
            while not self.is_over():
                clock.reset()
                execution = execution_at(plan.image_sides.of_epoch(len(self.history)))
                training = self._train_epoch(execution, batches, pauses)
                with clock.spent_on("validation"):
                    validation = self._validate(execution)
                load = Load.of(gpus.take())
                record = self._record(training, validation, load, clock.read())
                self.history.append(record)
                if self.hardware.is_chief:
                    plan.run.save_history(self.history)
                    log.write(record)
                progress.epoch(record, config.epochs, load.describe())
                pauses.after_epoch(self.history)
                # What saving the epoch took is known only now.
                self.history[-1] = record.with_time(clock.read())
        if self.hardware.is_chief:
            plan.run.save_history(self.history)
        part(agree)

    def is_over(self) -> bool:
        """Tell whether the run has all of its epochs, or no patience left for more."""
        config = self.plan.config.train
        has_all = len(self.history) >= config.epochs
        return has_all or is_out_of_patience(self.history, config.patience)

    def _make_execution(self, side: int, clock: EpochClock) -> Execution:
        """Return the steps on images of a side, traced and compiled once."""
        return Execution(
            self.classifier,
            self.hardware.strategy,
            self.plan.config.train.steps_per_execution,
            device_lags=self.hardware.num_gpus > 0,
            side=side,
            clock=clock,
        )

    @property
    def _first_step(self) -> int:
        """The step of the run that the current epoch begins with here."""
        epoch_start = len(self.history) * self.start.steps_per_epoch
        return max(epoch_start, self.start.total_steps)

    @property
    def _steps_left(self) -> int:
        """The steps of the current epoch that are taken here."""
        epoch_end = (len(self.history) + 1) * self.start.steps_per_epoch
        return epoch_end - self._first_step

    def _train_epoch(
        self, execution: Execution, batches: Any, pauses: Pauses
    ) -> Training:
        first = self._first_step
        # A begun epoch goes on with the metrics that were restored.
        if self._steps_left == self.start.steps_per_epoch:
            self.classifier.metrics.reset()
        return execution.train(
            batches,
            self._steps_left,
            lambda taken: pauses.after_steps(first + taken),
            first,
        )

    def _validate(self, execution: Execution) -> Metrics | None:
        steps = self.plan.validation_steps
        if steps is None:
            return None
        batches = self._batches(
            lambda share: eval_dataset(
                self.plan.records,
                self.plan.config.train,
                shard=share,
                data_service=self.plan.data_service,
            )
        )
        return execution.validate(iter(batches), steps)

    def _record(
        self,
        training: Training,
        validation: Metrics | None,
        load: Load,
        time: EpochTime,
    ) -> EpochRecord:
        metrics, seconds = training.metrics, training.seconds
        step = self._first_step + self._steps_left
        images = self._steps_left * self.classifier.global_batch
        return EpochRecord(
            epoch=len(self.history) + 1,
            step=step,
            learning_rate=float(self.classifier.optimizer.learning_rate(step - 1)),
            loss=metrics.loss,
            accuracy=metrics.accuracy,
            val_loss=validation and validation.loss,
            val_accuracy=validation and validation.accuracy,
            images_per_second=images / seconds,
            input_wait_share=training.input_wait_seconds / seconds,
            seconds=seconds,
            skipped_steps=metrics.skipped_steps,
            gpu_busy_percent=load.busy_percent,
        ).with_time(time)

    def _draw_samples(self) -> np.ndarray:
        """A row for each of some images: as evaluation sees it, then augmented."""
        config, side = self.plan.config, self.classifier.side
        seed = config.train.seed
        samples = augmented_samples(self.plan.records, config.augment, side, seed)
        return as_sheet(samples)

    def _train_batches(self) -> Any:
        return self._batches(
            lambda share: train_dataset(
                self.plan.records,
                self.plan.config.train,
                share,
                self.hardware.copy_device,
                self.start.epoch,
                self.start.step,
                data_service=self.plan.data_service,
            )
        )

    def _batches(self, make: Callable[[PipelineShard], tf.data.Dataset]) -> Any:
        """Return the dataset of `make`, shared among the workers and replicas."""
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
