"""A run's history as a notebook shows it: a few figures and the accuracy's curve."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet.model.training.history import EpochRecord, best_epoch
from alexnet.pipeline.charts import Series, line_chart
from alexnet.pipeline.notebook import html_table


def history_html(title: str, history: Sequence[EpochRecord]) -> str:
    """The best and the last epoch in a table, and accuracy over the epochs."""
    best = best_epoch(history)
    epochs = {"best": best, "last": history[-1] if history else None}
    rows = [
        [name, r.epoch, r.loss, r.accuracy, r.val_accuracy or "", r.images_per_second]
        for name, r in epochs.items()
        if r
    ]
    columns = ["", "epoch", "loss", "accuracy", "validation accuracy", "images/s"]
    training = [(record.epoch, record.accuracy) for record in history]
    validation = [
        (record.epoch, record.val_accuracy)
        for record in history
        if record.val_accuracy is not None
    ]
    lines = [Series("training", training), Series("validation", validation)]
    mark = (best.epoch, f"best: epoch {best.epoch}") if best else None
    drawn = [line for line in lines if line.points]
    return html_table(title, columns, rows) + line_chart(
        drawn, "epoch", "accuracy", mark
    )
