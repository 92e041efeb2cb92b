"""A run's report as its page shows it: tables cut to a size, charts drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from alexnet.model.config import SAVED_NETWORK
from alexnet.model.report.page import number, percent
from alexnet.model.report.run_report import HeldOut, RunReport
from alexnet.model.report.run_settings import Setting, fit_command, run_settings
from alexnet.model.results.scores import ClassFigures
from alexnet.model.training.report import ACCOUNTS, FitReport
from alexnet.pipeline.charts import Bar, Series, bar_chart, line_chart

# A page stays small: rows of a table of classes, classes of a matrix, pairs of classes.
MOST_CLASSES, MATRIX_CLASSES, MOST_PAIRS = 40, 15, 40


@dataclass(frozen=True)
class Times:
    """The seconds of all epochs by what they were spent on, in the bar's order."""

    parts: dict[str, float]
    summary: str


@dataclass(frozen=True)
class HeldOutView:
    """The figures on held-out examples, as the template shows them."""

    held_out: HeldOut

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of all classes."""
        return self.held_out.scores.class_names

    @property
    def classes(self) -> list[ClassFigures]:
        """Every class, or those of the lowest F1."""
        classes = self.held_out.scores.per_class()
        if len(classes) <= MOST_CLASSES:
            return classes
        present = [figures for figures in classes if figures.num_examples]
        return sorted(present, key=lambda figures: figures.f1)[:MOST_CLASSES]

    @property
    def matrix(self) -> list[tuple[str, list[tuple[int, float]]]]:
        """Rows of the confusion of few classes: a class, its counts, their shares."""
        if len(self.class_names) > MATRIX_CLASSES:
            return []
        counts = self.held_out.scores.confusion().tolist()
        return [
            (name, [(count, count / max(1, sum(row))) for count in row])
            for name, row in zip(self.class_names, counts, strict=True)
        ]

    @property
    def pairs(self) -> list[tuple[str, str, int, float]]:
        """The most frequent mistakes: two classes, how often, share of the first."""
        names, pairs = self.class_names, self.held_out.scores.pairs().tolist()
        sizes: Counter[int] = Counter()
        for true, _, count in pairs:
            sizes[true] += count
        mistakes = [pair for pair in pairs if pair[0] != pair[1]]
        mistakes.sort(key=lambda pair: -pair[2])
        return [
            (names[true], names[guess], count, count / sizes[true])
            for true, guess, count in mistakes[:MOST_PAIRS]
        ]

    @property
    def reliability(self) -> str:
        """Accuracy over confidence."""
        bars = [
            Bar(
                group.low,
                group.high,
                group.accuracy,
                f"{group.num_examples:,} examples, {group.confidence:.1%} sure,"
                f" {group.accuracy:.1%} right",
            )
            for group in self.held_out.calibration.bins()
        ]
        return bar_chart(bars, "probability of the answer", "share right")


@dataclass(frozen=True)
class RunView:
    """A run's report, as the template shows it."""

    report: RunReport

    @property
    def held_out(self) -> HeldOutView | None:
        """The figures on held-out examples, where they could be measured."""
        held_out = self.report.held_out
        return None if held_out is None else HeldOutView(held_out)

    @property
    def figures(self) -> list[tuple[str, str]]:
        """The few figures at the top."""
        report, held_out = self.report, self.report.held_out
        figures = []
        if held_out:
            name = f"{held_out.split} accuracy, epoch {report.epoch}"
            figures = [
                (name, percent(held_out.scores.top1)),
                ("loss", number(held_out.scores.loss)),
            ]
            if held_out.scores.top5 is not None:
                figures.append(("in the first five", percent(held_out.scores.top5)))
        if report.history:
            fit = FitReport(report.run.path, tuple(report.history))
            epochs = f"{len(report.history)} of {report.config.train.epochs}"
            figures += [
                ("epochs", epochs),
                ("images/s in training", number(fit.images_per_second)),
                ("of it waiting for input", percent(fit.input_wait_share)),
            ]
        return figures

    @property
    def command(self) -> str:
        """The command that trains such a run."""
        return fit_command(self.report.config, self.report.run.path)

    @property
    def has_unnamed_network(self) -> bool:
        """Whether no command can name the function that builds the run's network."""
        return self.report.config.network.network == SAVED_NETWORK

    @property
    def settings(self) -> list[Setting]:
        """The run's settings, the chosen ones first."""
        return run_settings(self.report.config)

    @property
    def curves(self) -> list[str]:
        """Accuracy and loss over the epochs, with the best one."""
        best = self.report.best
        mark = (best.epoch, f"best: epoch {best.epoch}") if best else None
        charts = []
        for name in ("accuracy", "loss"):
            columns = {"training": name, "validation": f"val_{name}"}
            lines = [history_series(self.report, *column) for column in columns.items()]
            drawn = [line for line in lines if line.points]
            charts.append(line_chart(drawn, "epoch", name, mark))
        return [chart for chart in charts if chart]

    @property
    def times(self) -> Times | None:
        """Seconds of the run's epochs, where there are any."""
        history = self.report.history
        if not history:
            return None
        fit = FitReport(self.report.run.path, tuple(history))
        parts = {ACCOUNTS[account]: part for account, part in fit.seconds.items()}
        summary = fit.time_summary
        busy = [e.gpu_busy_percent for e in history if e.gpu_busy_percent is not None]
        if busy:
            summary += (
                f" The GPU was busy for {sum(busy) / len(busy):.0f} % of the time."
            )
        return Times(parts, summary)


def history_series(report: RunReport, name: str, column: str) -> Series:
    """A column of a run's history over the epochs, without its gaps."""
    values = [(epoch.epoch, getattr(epoch, column)) for epoch in report.history]
    return Series(name, [(x, y) for x, y in values if y is not None])
