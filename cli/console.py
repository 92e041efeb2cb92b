"""Output of the commands: results on stdout, everything else on stderr.

Progress is a bar with rate and time left on a terminal, and a plain line now and then
when it is not one.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from alexnet.pipeline.pace import Pace

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

# Seconds between plain lines where there is no terminal.
LINE_SECONDS = 10.0
# A class may be called [red] or :dog:, which rich would take for its own language.
PLAIN: Any = dict.fromkeys(("highlight", "markup", "emoji"), False) | {
    "soft_wrap": True
}
# Room for a second one, which stops at once.
CTRL_C_COLUMNS = len("^C^C")


def stdout(width: int | None = None) -> Console:
    """Return the console for results, as wide as the terminal by default."""
    from rich.console import Console

    return Console(**PLAIN, width=width)


def say(message: str) -> None:
    """Print a message for people, on stderr."""
    print(message, file=sys.stderr, flush=True)


def print_json(value: dict[str, Any]) -> None:
    """Print the one JSON object of a command with --json."""
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


class Meter:
    """A display of a job's progress; `show` may be called as often as one likes."""

    def __init__(self, label: str, unit: str) -> None:
        """Take a label and a unit, in the plural where it has one: 'images', 'MiB'."""
        self.label, self.pace = label, Pace(unit)
        self._bar: Progress | None = None
        self._task: Any = None
        self._said = time.monotonic()

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.stop()

    def start_clock(self, done: int) -> None:
        """Count rates from here: what went before was start-up."""
        self.pace.start(done)

    def show(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` are done."""
        if not total:
            return
        if self.pace.first is None:
            self.start_clock(done)
        if sys.stderr.isatty():
            self._show_bar(done, total, note)
        elif time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            tail = f" · {note}" if note else ""
            say(f"{self.label}: {self.pace.describe(done, total)}{tail}")

    def announce(self, note: str, done: int, total: int) -> None:
        """Show a job whose steps have names."""
        self.show(done, total, note)

    def _show_bar(self, done: int, total: int, note: str) -> None:
        if not self._bar:
            self._bar = _progress_bar()
            self._bar.start()
            self._task = self._bar.add_task(self.label, note="", rate="")
        rate = self.pace.describe_rate(done)
        self._bar.update(self._task, completed=done, total=total, note=note, rate=rate)

    def write(self, line: str) -> None:
        """Print a line that stays, above the bar."""
        if self._bar:
            self._bar.console.print(line)
        else:
            say(line)


def _progress_bar() -> Progress:
    from rich.console import Console, ConsoleOptions
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    class NarrowConsole(Console):
        """A console a little narrower than its terminal.

        A terminal shows Ctrl-C as ^C where the cursor is. After a full line that is
        the line below, where the bar would then be drawn a second time.
        """

        @property
        def options(self) -> ConsoleOptions:
            options = super().options
            return options.update_width(max(1, options.max_width - CTRL_C_COLUMNS))

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=NarrowConsole(stderr=True, **PLAIN),
    )


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table on stdout; the first column is text, the others are numbers.

    What is wider than the terminal comes in several parts, as pandas has it, each with
    the first column. Files and pipes have no width: there a row stays one line.
    """
    from rich.table import Table

    console = stdout()
    widths = _column_widths(columns, rows)
    if not console.is_terminal:
        console = stdout(width=1 + sum(widths))
    console.print(title)
    for part in _parts_that_fit(widths, console.width):
        table = Table()
        for position in part:
            table.add_column(
                columns[position],
                justify="right" if position else "left",
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(row[position] for position in part))
        console.print(table)


def _column_widths(columns: list[str], rows: list[list[str]]) -> list[int]:
    """Return the columns' widths in a table: text, padding and a line."""
    from rich.cells import cell_len

    return [3 + max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]


def _parts_that_fit(widths: list[int], width: int) -> list[list[int]]:
    """Part a table's columns into tables that fit a width, the first column in each."""
    parts = [[0]]
    for position in range(1, len(widths)):
        wanted = 1 + sum(widths[column] for column in [*parts[-1], position])
        if wanted > width and len(parts[-1]) > 1:
            parts.append([0])
        parts[-1].append(position)
    return parts
