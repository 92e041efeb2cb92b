"""`bench input-pipeline`: first passes, ladder, limits and rivals, timed in one run.

Plan, execute, report: what to time is a list of named timings, each is measured in
turn by the same clock, and the report says where an image's time goes.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from alexnet.benchmarks.input_pipeline.delivery_order import judge_shuffle
from alexnet.benchmarks.input_pipeline.device_stages import Consumer as TrainStep
from alexnet.benchmarks.input_pipeline.first_epoch import FirstPasses, first_passes
from alexnet.benchmarks.input_pipeline.ladder import Rung
from alexnet.benchmarks.input_pipeline.plan import BenchConfig, BenchPlan, plan_bench
from alexnet.benchmarks.input_pipeline.report import BenchReport, Measured, make_report
from alexnet.benchmarks.resident import ResidentWatch
from alexnet.benchmarks.rounds import ROUNDS
from alexnet.benchmarks.stopwatch import Progress, Stopwatch
from alexnet.pipeline.read.dataset import steps_per_epoch
from alexnet.pipeline.read.errors import reading

__all__ = ["BenchConfig", "BenchReport", "Progress", "TrainStep", "run_bench"]


def run_bench(
    data: Path,
    config: BenchConfig,
    progress: Progress = lambda name, done, total: None,
    train_step: TrainStep | None = None,
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
    once = len(plan.host) + len(plan.device) + len(plan.limits)
    total = 2 + once + ROUNDS * len(plan.in_turn)
    stopwatch = Stopwatch(plan.config.seconds, total, progress)
    stopwatch.announce("first pass")
    passes = _first_passes(plan)
    stopwatch.announce("shuffle quality")
    num_examples = plan.records.manifest.split("train").num_examples
    quality = judge_shuffle(plan.stages, plan.config.batch_size, num_examples)
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
    return Measured(tuple(rungs), limits, rounds, passes, watch.added_bytes, quality)


def _first_passes(plan: BenchPlan) -> FirstPasses:
    records, batch_size = plan.records, plan.config.batch_size
    num_images = steps_per_epoch(records, batch_size) * batch_size
    whole, seconds = plan.host[-1], plan.config.seconds
    return first_passes(whole.start, records.paths("train"), num_images, seconds)
