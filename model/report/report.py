"""`write_report`: one run on a page, or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alexnet.model.report.page import write_page
from alexnet.model.report.run_report import RunReport, read_run
from alexnet.model.report.run_settings import differing_settings
from alexnet.model.report.run_view import MOST_CLASSES, RunView, history_series
from alexnet.model.results.evaluation import Progress
from alexnet.model.training.report import FitReport
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.charts import line_chart


def write_report(
    runs: Sequence[RunFolder],
    out: Path,
    which: str = "best",
    progress: Progress = lambda done, total: None,
) -> list[RunReport]:
    """Write a page that shows a run, or several beside each other.

    Raises:
        RunError: there is no run in a folder, or it is damaged.
        OSError: the page cannot be written.
    """
    reports = [read_run(run, which, progress) for run in runs]
    views = [RunView(report) for report in reports]
    if len(views) == 1:
        write_page(out, "run.html", title=reports[0].name, view=views[0])
    else:
        title = f"{len(views)} runs: {', '.join(report.name for report in reports)}"
        write_page(out, "runs.html", title=title, views=views, **_comparison(reports))
    return reports


def _comparison(reports: Sequence[RunReport]) -> dict[str, Any]:
    return {
        "differences": differing_settings([report.config for report in reports]),
        "results": [_results(report) for report in reports],
        "curves": _curves(reports),
        "recalls": _recalls(reports),
    }


def _results(report: RunReport) -> dict[str, Any]:
    """A row of the table of results; None where there is nothing to tell."""
    history, best, held_out = report.history, report.best, report.held_out
    fit = FitReport(report.run.path, tuple(history)) if history else None
    return {
        "name": report.name,
        "best": best and best.val_accuracy,
        "epoch": best and best.epoch,
        "last": history[-1].val_accuracy if history else None,
        "calibration_error": held_out and held_out.calibration.expected_error,
        "epochs": len(history),
        "images_per_second": fit and fit.images_per_second,
        "wait": fit and fit.input_wait_share,
    }


def _curves(reports: Sequence[RunReport]) -> list[str]:
    """Validation accuracy and loss of all runs, as far as they have any."""
    charts = []
    for name in ("accuracy", "loss"):
        series = [
            history_series(report, report.name, f"val_{name}") for report in reports
        ]
        charts.append(line_chart(series, "epoch", f"validation {name}"))
    return [chart for chart in charts if chart]


def _recalls(reports: Sequence[RunReport]) -> list[tuple[str, list[float]]]:
    """Recall of each class in every run, where all know the same few classes."""
    scores = [report.held_out.scores for report in reports if report.held_out]
    names = scores[0].class_names if scores else ()
    comparable = len(scores) == len(reports) and len(names) <= MOST_CLASSES
    if not comparable or any(one.class_names != names for one in scores):
        return []
    columns = [[figures.recall for figures in one.per_class()] for one in scores]
    return list(zip(names, map(list, zip(*columns, strict=True)), strict=True))
