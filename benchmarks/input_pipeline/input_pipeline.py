"""`bench input-pipeline`: first epochs, ladder, limits and other loaders in one run.

Plan, execute, report: what to time is a list of named timings, each is measured in
turn by the same clock, and the report says where an image's time goes.
"""

from __future__ import annotations

from dataclasses import asdict

from alexnet.benchmarks.config import BenchConfig
from alexnet.benchmarks.input_pipeline.device_stages import DeviceStage
from alexnet.benchmarks.input_pipeline.first_epoch import time_first_epochs
from alexnet.benchmarks.input_pipeline.ladder import Rung
from alexnet.benchmarks.input_pipeline.plan import BenchPlan, plan_bench
from alexnet.benchmarks.input_pipeline.report import BenchReport, Measured, make_report
from alexnet.benchmarks.input_pipeline.shuffle_quality import measure_shuffle
from alexnet.benchmarks.measure import Progress, Stopwatch
from alexnet.benchmarks.memory import ResidentWatch
from alexnet.benchmarks.rounds import ROUNDS
from alexnet.pipeline.read.dataset import steps_per_epoch
from alexnet.pipeline.read.errors import reading
from alexnet.pipeline.remote.place import Place


def run_bench(
    data: Place,
    config: BenchConfig,
    progress: Progress = lambda name, done, total: None,
    train_step: DeviceStage | None = None,
) -> BenchReport:
    """Time the input pipeline of the record set in `data`.

    Args:
        train_step: the last rung, which augments for itself.

    Raises:
        DataError: there is no finished record set, it has no train split, or a shard
            is damaged.
        ConfigError: a setting does not fit the records, or a package is missing.
    """
    plan = plan_bench(data, config, train_step)
    with reading(plan.records):
        return make_report(plan, execute(plan, progress))


def execute(plan: BenchPlan, progress: Progress) -> Measured:
    """Measure one timing after the other; each is gone before the next starts."""
    records, config = plan.records, plan.config
    once = len(plan.host) + len(plan.device) + len(plan.limits)
    total = 2 + once + ROUNDS * len(plan.in_turn)
    stopwatch = Stopwatch(config.seconds, total, progress)
    stopwatch.announce("first epoch")
    first_epochs = time_first_epochs(
        plan.host[-1].start,
        records.paths("train"),
        steps_per_epoch(records, config.batch_size) * config.batch_size,
        config.seconds,
    )
    stopwatch.announce("shuffle quality")
    num_examples = records.manifest.split("train").num_examples
    quality = measure_shuffle(plan.stages, config.batch_size, num_examples)
    rungs = []
    for timing in plan.host:
        watch = ResidentWatch()  # the last one's is the whole pipeline's
        rungs.append(Rung(timing.name, **asdict(stopwatch.time(timing, watch.look))))
    rungs += [Rung(t.name, **asdict(stopwatch.time(t))) for t in plan.device]
    limits = {t.name: stopwatch.time(t).images_per_second for t in plan.limits}
    rounds = [
        {t.name: stopwatch.time(t).images_per_second for t in plan.in_turn}
        for _ in range(ROUNDS if plan.in_turn else 0)
    ]
    stopwatch.announce("done")
    return Measured(
        tuple(rungs), limits, rounds, first_epochs, watch.added_bytes, quality
    )
