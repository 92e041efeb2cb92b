"""Several trainings' load of the GPU over time, one below the other, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from alexnet.pipeline.pictures import save_figure


def draw_loads(rows: Sequence[dict[str, Any]], out: Path) -> None:
    """Draw the rows that have samples, each over its own time.

    A row has `way`, `steps`, `step_milliseconds` and `samples`; without an answer from
    a GPU's driver its panel says so.
    """
    figure = Figure(figsize=(8, 2.2 * len(rows)), layout="constrained")
    figure.suptitle("How busy each training keeps the GPU (NVML)")
    axes = figure.subplots(len(rows), squeeze=False)[:, 0]
    for axis, row in zip(axes, rows, strict=True):
        _draw(axis, row)
    axes[-1].set_xlabel("seconds")
    save_figure(figure, out)


def _draw(axis: Any, row: dict[str, Any]) -> None:
    told = [s for s in row.get("samples", ()) if s["busy_percent"] is not None]
    title = row["way"]
    if "steps" in row:
        title += f": {row['steps']} steps, {row['step_milliseconds']:,.1f} ms each"
    axis.set_title(title, fontsize="medium", loc="left")
    axis.set_ylabel("busy, %")
    axis.set_ylim(0, 105)
    axis.grid(alpha=0.3)
    seconds, busy = ([s[n] for s in told] for n in ("seconds", "busy_percent"))
    axis.plot(seconds, busy, drawstyle="steps-pre")
    axis.set_xlim(left=0)
    if not told:
        axis.text(0.5, 50, "no figures", transform=axis.get_yaxis_transform())
