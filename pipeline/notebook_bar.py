"""Progress bars below the cells of a notebook, by which long jobs show that they run.

Drawn by HTML alone, which needs no extension and stays in the notebook's file.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from html import escape
from typing import Any

from alexnet.pipeline.pace import Pace

# Between two drawings.
SECONDS = 0.25


class NotebookBar:
    """A job's bar below the cell; `show` may be called as often as one likes."""

    def __init__(self, label: str, unit: str) -> None:
        """Take a label and a unit, in the plural where it has one: 'images', 'MiB'."""
        self.label, self.pace = label, Pace(unit)
        self._display: Any = None
        self._drawn_at = float("-inf")

    def show(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` are done."""
        if self.pace.first is None:
            self.pace.start(done)
        now = time.monotonic()
        if total and (done == total or now - self._drawn_at >= SECONDS):
            self._drawn_at = now
            self._draw(done, total, note)

    def _draw(self, done: int, total: int, note: str) -> None:
        from IPython.display import HTML, display

        told = " · ".join(
            part for part in (self.pace.describe(done, total), note) if part
        )
        bar = f'<progress value="{done}" max="{total}"></progress>'
        html = HTML(f"<div>{escape(self.label)} {bar} {escape(told)}</div>")
        if self._display is None:
            self._display = display(html, display_id=True)
        else:
            self._display.update(html)


def in_notebook() -> bool:
    """Return True where the code runs in a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


def notebook_progress(label: str, unit: str) -> Callable[[int, int], None]:
    """Return what shows `done` and `total` in a notebook, and nothing elsewhere."""
    if in_notebook():
        return NotebookBar(label, unit).show
    return lambda done, total: None
