"""The picture of a sweep: accuracy over each varied setting, and the trials' curves."""

from __future__ import annotations

from math import nan

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexnet.model.sweep.report import SweepReport
from alexnet.model.sweep.space import Choices, Range
from alexnet.pipeline.pictures import legible, save_figure

COLORS = {"complete": "tab:blue", "pruned": "tab:orange"}
OTHERS = "0.6"
BEST = "tab:red"
PANEL_INCHES = 4.0


def plot_sweep(report: SweepReport) -> None:
    """Draw a sweep into its folder."""
    space = report.plan.space
    size = (PANEL_INCHES * (len(space) + 1), PANEL_INCHES)
    figure = Figure(figsize=size, layout="constrained")
    *axes, curves = figure.subplots(1, len(space) + 1, sharey=True)
    for axis, (name, values) in zip(axes, space.items(), strict=True):
        _draw_setting(axis, report, name, values)
    _draw_curves(curves, report)
    (axes or [curves])[0].set_ylabel("validation accuracy")
    save_figure(figure, report.plan.picture_path)


def _color(report: SweepReport, number: int) -> str:
    if report.best and report.best.number == number:
        return BEST
    return COLORS.get(report.trials[number].state, OTHERS)


def _draw_setting(
    axis: Axes, report: SweepReport, name: str, values: Choices | Range
) -> None:
    """Draw a dot a trial: its best accuracy over its value of a setting."""
    is_range = isinstance(values, Range)
    for trial in report.trials:
        if trial.accuracy is not None:
            value = trial.values[name]
            place = value if is_range else values.extremes.index(value)
            color = _color(report, trial.number)
            axis.plot(place, trial.accuracy, "o", color=color, alpha=0.8)
    if isinstance(values, Range) and values.log:
        axis.set_xscale("log")
    elif not is_range:
        names = [legible(str(value)) for value in values.extremes]
        axis.set_xticks(range(len(names)), names)
    axis.set_xlabel(name)
    axis.grid(alpha=0.3)


def _draw_curves(axis: Axes, report: SweepReport) -> None:
    """Draw the validation accuracy of each trial over its epochs, the best on top."""
    named: set[str] = set()
    for trial in report.ranked[::-1]:
        name = f"trial {trial.number}, best" if trial is report.best else trial.state
        accuracies = [epoch.val_accuracy for epoch in trial.history]
        axis.plot(
            [epoch.epoch for epoch in trial.history],
            [nan if accuracy is None else accuracy for accuracy in accuracies],
            marker=".",
            color=_color(report, trial.number),
            label=None if name in named else name,
        )
        named.add(name)
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.3)
    axis.legend()
