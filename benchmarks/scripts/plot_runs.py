"""Several runs' accuracy in one picture.

`python -m alexnet.benchmarks.scripts.plot_runs OUT RUN...` draws what `fit` wrote to
each run's history.csv; the README's curves come from here.
"""

from __future__ import annotations

import sys
from math import nan
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexnet.model.training.run import RunFolder
from alexnet.pipeline.pictures import legible, save_figure


def draw_runs(runs: list[RunFolder], out: Path) -> None:
    """Write a PNG: validation accuracy over the epochs, training's as a thin line.

    Raises:
        RunError: a folder holds no run.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for number, run in enumerate(runs):
        run.load_config()
        history = run.load_history()
        name = legible(run.path.name)
        epochs, color = [record.epoch for record in history], f"C{number}"
        scores = [record.val_accuracy for record in history]
        held_out = [nan if score is None else score for score in scores]
        trained = [record.accuracy for record in history]
        axis.plot(epochs, held_out, color=color, marker=".", label=name)
        axis.plot(epochs, trained, color=color, linewidth=0.6, linestyle="--")
    axis.set_xlabel("epoch")
    axis.set_ylabel("validation accuracy (dashed: training)")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.3)
    axis.legend()
    save_figure(figure, out)


if __name__ == "__main__":
    draw_runs([RunFolder(Path(name)) for name in sys.argv[2:]], Path(sys.argv[1]))
