"""The tables and verdicts that `alexnet bench` prints for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alexnet.cli.console import print_table, say

if TYPE_CHECKING:
    from alexnet.benchmarks.input_pipeline.compare import Change
    from alexnet.benchmarks.input_pipeline.report import BenchReport
    from alexnet.benchmarks.train_step import TrainStepReport


def print_ladder(report: BenchReport) -> None:
    """Print the rungs, what stands beside them, and the verdict."""
    from alexnet.pipeline.files import count

    settings = report.settings
    planes = ", decoded to planes" if settings.decode == "planes" else ""
    title = (
        f"{report.data}: {settings.storage}{planes}, reader {settings.reader}"
        f" ({report.reader_reason}), batch {settings.batch_size},"
        f" {count(report.num_cpus, 'CPU')}"
    )
    columns = ["up to", "images/s", "spread", "added us/image", "of its limit", ""]
    print_table(title, columns, _rungs(report))
    limits = [[name, f"{rate:,.0f}"] for name, rate in report.limits.items()]
    print_table("limits", ["", "images/s"], limits)
    if report.against:
        print_table("against", ["", "images/s", "ours", "spread"], _loaders(report))
    print_table("besides", ["", "measured"], _besides(report))
    print(f"bottleneck: {report.bottleneck}\n{report.advice}")
    for note in report.notes:
        say(f"note: {note}")


def _rungs(report: BenchReport) -> list[list[str]]:
    from alexnet.benchmarks.input_pipeline.ladder import added_microseconds

    rows = []
    for rung, cost in zip(report.rungs, added_microseconds(report.rungs), strict=True):
        share = report.shares.get(rung.stage)
        near = [f"{share.share:.0%}", share.limit] if share else ["", ""]
        rate, spread = f"{rung.images_per_second:,.0f}", f"{rung.spread:.0%}"
        rows.append([rung.stage, rate, spread, f"{cost:+,.0f}", *near])
    return rows


def _loaders(report: BenchReport) -> list[list[str]]:
    """Each loader's rate, and ours as a multiple of it."""
    rows = []
    for name, rate in report.against.items():
        ours = report.ratios[name]
        times, spread = f"{ours.ratio:.2f} x", f"{ours.spread:.0%}"
        rows.append([name, f"{rate:,.0f}", times, spread])
    return rows


def _besides(report: BenchReport) -> list[list[str]]:
    cold, quality = report.cold_images_per_second, report.shuffle_quality
    uniform = "{:.2f} to {:.2f}".format(*quality.class_mixing_interval or (1, 1))
    return [
        ["first batch after", f"{report.first_batch_seconds:.2f} s"],
        ["first epoch, cold page cache", f"{cold:,.0f} images/s" if cold else "-"],
        ["first epoch, warm", f"{report.warm_images_per_second:,.0f} images/s"],
        ["resident memory", f"{report.resident_bytes / 2**20:,.0f} MiB"],
        [f"class mixing (uniform: {uniform})", _quality(quality.class_mixing)],
        ["displacement (ideal: 1)", _quality(quality.displacement)],
    ]


def _quality(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def print_changes(changes: list[Change]) -> None:
    """Print an older report's figures beside the new ones, if there are any."""
    rows = [
        [change.figure, _figure(change.old), _figure(change.new), f"{change.ratio:.2f}"]
        for change in changes
    ]
    if rows:
        print_table("compared", ["", "old", "new", "ratio"], rows)


def _figure(value: float) -> str:
    """A rate in whole images, or a share in three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def print_train_step(report: TrainStepReport) -> None:
    """Print the speed of the step, and what the device makes of it."""
    rows = [
        ["images/s", f"{report.images_per_second:,.0f}"],
        ["spread", f"{report.spread:.0%}"],
        ["a step", f"{1e3 * report.step_seconds:,.1f} ms"],
        ["augmentation's share of it", f"{report.augment_share:.0%}"],
        ["a step's arithmetic", _flops(report.step_flops)],
        ["computed", f"{_flops(report.flops_per_second)}/s"],
        ["matmul limit", f"{_flops(report.matmul_flops_per_second)}/s"],
        ["share of that limit", f"{report.share_of_matmul:.0%}"],
    ]
    title = (
        f"{report.variant} network, batch {report.batch_size}, {report.image_size} px,"
        f" {report.precision}, {'XLA' if report.xla else 'no XLA'}: {report.device}"
    )
    print_table(title, ["train step", ""], rows)
    print(
        f"The step takes {report.images_per_second:,.0f} images/s: an input pipeline"
        " that delivers more than that keeps it busy (`alexnet bench input-pipeline`)."
    )


def _flops(count: float) -> str:
    """A number of floating-point operations for people."""
    tera = count / 1e12
    return f"{tera:,.1f} TFLOP" if tera >= 1 else f"{1e3 * tera:,.1f} GFLOP"
