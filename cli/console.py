"""How the command speaks: results on stdout, everything else on stderr.

Progress is a bar with rate and time left on a terminal, and a plain line now and then
when it is not one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

# Seconds between plain lines where there is no terminal.
LINE_SECONDS = 10.0


def stderr() -> Console:
    """The console for progress and messages."""
    return _plain_console(on_stderr=True)


def stdout() -> Console:
    """The console for results."""
    return _plain_console(on_stderr=False)


def _plain_console(on_stderr: bool) -> Console:
    from rich.console import Console

    # A class may be called [red] or :dog:, which rich would take for its own language.
    return Console(
        stderr=on_stderr, highlight=False, markup=False, emoji=False, soft_wrap=True
    )


def say(message: str) -> None:
    """Print a message for people, on stderr."""
    print(message, file=sys.stderr, flush=True)


def print_json(value: dict[str, Any]) -> None:
    """Print the one JSON object of a command with --json."""
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


class Meter:
    """Shows how far a job is: `show(done, total, note)` as often as one likes."""

    def __init__(self, label: str, unit: str) -> None:
        self.label, self.unit = label, unit
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._started = self._said = time.monotonic()
        self._first: int | None = None

    def __enter__(self) -> Meter:
        if sys.stderr.isatty():
            self._bar = _progress_bar(self.unit)
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.stop()

    def start_clock(self, done: int) -> None:
        """Rates count from here: what went before was start-up."""
        self._first, self._started = done, time.monotonic()

    def show(self, done: int, total: int, note: str = "") -> None:
        """The job stands at `done` of `total`."""
        if self._first is None:
            self.start_clock(done)
        if self._bar:
            self._show_bar(self._bar, done, total, note)
        elif time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            say(self._line(done, total, note))

    def announce(self, note: str, done: int, total: int) -> None:
        """As `show`, for jobs whose steps have names."""
        self.show(done, total, note)

    def _show_bar(self, bar: Progress, done: int, total: int, note: str) -> None:
        if self._task is None:
            self._task = bar.add_task(self.label, total=total, note="", rate="")
        rate = f"{self._rate(done):,.0f} {self.unit}/s"
        bar.update(self._task, completed=done, total=total, note=note, rate=rate)

    def _rate(self, done: int) -> float:
        seconds = time.monotonic() - self._started
        return (done - (self._first or 0)) / seconds if seconds else 0.0

    def _line(self, done: int, total: int, note: str) -> str:
        rate = self._rate(done)
        left = f", {(total - done) / rate:,.0f} s left" if rate else ""
        tail = f" · {note}" if note else ""
        return (
            f"{self.label}: {done:,} of {total:,} {self.unit},"
            f" {rate:,.1f} {self.unit}/s{left}{tail}"
        )

    def write(self, line: str) -> None:
        """Print a line that stays, above the bar."""
        if self._bar:
            self._bar.console.print(line)
        else:
            say(line)


def _progress_bar(unit: str) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=stderr(),
    )


@contextmanager
def meter(label: str, unit: str) -> Iterator[Meter]:
    """A Meter for the time of the block."""
    with Meter(label, unit) as shown:
        yield shown


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table on stdout; the first column is text, the others are numbers."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for position, name in enumerate(columns):
        table.add_column(name, justify="right" if position else "left")
    for row in rows:
        table.add_row(*row)
    stdout().print(table)
