"""What `alexnet bench input-pipeline` prints for people: its tables and its verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.console import print_table, say

if TYPE_CHECKING:
    from benchmarks.compare import Change
    from benchmarks.input_pipeline import BenchReport


def print_ladder(report: BenchReport) -> None:
    """Print the rungs, what stands beside them, and the verdict."""
    from pipeline.files import count

    title = (
        f"{report.data}: {report.storage}, reader {report.reader}"
        f" ({report.reader_reason}), batch {report.batch_size},"
        f" {count(report.num_cpus, 'CPU')}"
    )
    columns = ["up to", "images/s", "spread", "added us/image", "of its limit", ""]
    print_table(title, columns, _rungs(report))
    limits = [[name, f"{rate:,.0f}"] for name, rate in report.limits.items()]
    print_table("limits", ["", "images/s"], limits)
    if report.against:
        print_table("against", ["", "images/s", "ours", "spread"], _rivals(report))
    print_table("besides", ["", "measured"], _besides(report))
    print(f"bottleneck: {report.bottleneck}\n{report.advice}")
    for note in report.notes:
        say(f"note: {note}")


def _rungs(report: BenchReport) -> list[list[str]]:
    from benchmarks.ladder import added_microseconds

    rows = []
    for rung, cost in zip(report.rungs, added_microseconds(report.rungs), strict=True):
        share = report.shares.get(rung.stage)
        near = [f"{share.share:.0%}", share.limit] if share else ["", ""]
        rate, spread = f"{rung.images_per_second:,.0f}", f"{rung.spread:.0%}"
        rows.append([rung.stage, rate, spread, f"{cost:+,.0f}", *near])
    return rows


def _rivals(report: BenchReport) -> list[list[str]]:
    """Each rival's rate, and ours as a multiple of it."""
    rows = []
    for name, rate in report.against.items():
        ours = report.ratios[name]
        times, spread = f"{ours.ratio:.2f} x", f"{ours.spread:.0%}"
        rows.append([name, f"{rate:,.0f}", times, spread])
    return rows


def _besides(report: BenchReport) -> list[list[str]]:
    cold, quality = report.cold_images_per_second, report.shuffle_quality
    return [
        ["first batch after", f"{report.first_batch_seconds:.2f} s"],
        ["first pass, cold page cache", f"{cold:,.0f} images/s" if cold else "-"],
        ["first pass, warm", f"{report.warm_images_per_second:,.0f} images/s"],
        ["resident memory", f"{report.resident_bytes / 2**20:,.0f} MiB"],
        ["class mixing (ideal: 1)", _quality(quality.class_mixing)],
        ["displacement (ideal: 1)", _quality(quality.displacement)],
    ]


def _quality(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def print_changes(changes: list[Change]) -> None:
    """Print what became of an older report's figures, if there is one."""
    rows = [
        [change.figure, _figure(change.old), _figure(change.new), f"{change.ratio:.2f}"]
        for change in changes
    ]
    if rows:
        print_table("compared", ["", "old", "new", "ratio"], rows)


def _figure(value: float) -> str:
    """A rate or a share, to as many digits as say something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
