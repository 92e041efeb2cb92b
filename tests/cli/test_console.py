"""Progress by a clock that the test moves, results as JSON and tables."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from rich.cells import cell_len

from alexnet.cli.console import LINE_SECONDS, Meter, print_json, print_table, say


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A function that lets the meters' clock run on."""
    now = 1000.0

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now)
    return wait


def test_lines_carry_rate_and_time_left(
    wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with Meter("building", "images") as meter:
        meter.show(0, 4000)
        wait(20)
        meter.show(1000, 4000)
    # 1000 in 20 s is 50 a second; the other 3000 take 60.
    line = "building: 1,000 of 4,000 images, 50 images/s, 60 s left\n"
    assert capsys.readouterr() == ("", line)


def test_lines_come_now_and_then(
    wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with Meter("training", "steps") as meter:
        for step in range(10 * 3 + 1):
            meter.show(step, 100, "loss 0.5")
            wait(LINE_SECONDS / 10)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" of ")[0] for line in lines] == [
        f"training: {step}" for step in (10, 20, 30)
    ]
    assert all(line.endswith(" · loss 0.5") for line in lines)


def test_a_resumed_job_counts_its_own_part(
    wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with Meter("training", "steps") as meter:
        meter.show(500, 1000)
        wait(25)
        meter.show(600, 1000)
    # 100 of its own steps in 25 s: 4 a second, 400 are left.
    assert "600 of 1,000 steps, 4.0 steps/s, 100 s left" in capsys.readouterr().err


def test_start_up_does_not_count(
    wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with Meter("training", "steps") as meter:
        meter.show(0, 50)
        wait(9)  # tracing and compiling
        meter.start_clock(1)
        wait(5)
        meter.show(11, 50)
    assert "11 of 50 steps, 2.0 steps/s, 20 s left" in capsys.readouterr().err


def test_no_time_left_is_told_before_anything_is_done(
    wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with Meter("measuring", "timings") as meter:
        wait(LINE_SECONDS)
        meter.show(0, 8, "read")
    assert capsys.readouterr().err == "measuring: 0 of 8 timings · read\n"


@pytest.mark.parametrize(
    ("unit", "done", "seconds", "told"),
    [
        ("steps", 10, 32.0, "3.2 s/step"),
        ("images", 1, 1000.0, "1,000.0 s/image"),
        ("MiB", 20, 40.0, "2.0 s/MiB"),
        ("shards", 30, 20.0, "1.5 shards/s"),
        ("images", 24_000, 20.0, "1,200 images/s"),
    ],
)
def test_a_slow_job_tells_the_seconds_of_each(
    unit: str,
    done: int,
    seconds: float,
    told: str,
    wait: Callable[[float], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Meter("working", unit) as meter:
        meter.show(0, 30_000)
        wait(seconds)
        meter.show(done, 30_000)
    assert capsys.readouterr().err.split(", ")[1:2] == [told]


def test_one_is_no_plural(
    wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with Meter("predicting", "images") as meter:
        wait(LINE_SECONDS)
        meter.show(0, 1)
    assert capsys.readouterr().err == "predicting: 0 of 1 image\n"


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Meter("building", "images") as meter:
        meter.show(0, 40)
        meter.show(30, 40, "shard 3")
        meter.write("a line that stays")
    text = terminal.getvalue()
    assert "30/40" in text
    assert "images/s" in text
    assert "shard 3" in text
    assert "a line that stays\n" in text


def test_no_bar_is_drawn_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with Meter("building", "images") as meter:
        meter.show(0, 0)
        meter.write("nothing to do")
    assert terminal.getvalue() == "nothing to do\n"


IN_A_TERMINAL = """
import time
from alexnet.cli.console import Meter
try:
    with Meter("training", "steps") as meter:
        for step in range(1, 400):
            meter.show(step, 1110, "loss 0.001, accuracy 1.000 and a long note")
            time.sleep(0.01)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_at_a_terminal_draws_the_bar_once() -> None:
    """The terminal writes ^C where the cursor is; a full line would go on below."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm"}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        environment.pop(name, None)
    job = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=Path(__file__).parents[2],
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    seen = b""
    while b" steps/s" not in seen:
        seen += os.read(ours, 4096)
    os.write(ours, b"\x03")
    with suppress(OSError):  # as a terminal's end is told
        while data := os.read(ours, 4096):
            seen += data
    job.wait(250)
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert "^C" in text
    lines = re.split(r"[\r\n]+", text.replace("^C", ""))
    assert max(map(len, lines)) + len("^C") < 80
    assert lines[-2:] == ["interrupted", ""]
    # One line on the screen: each drawing but the last is written over.
    assert text.count("\n") == 2


def test_messages_and_lasting_lines_go_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say("hello")
    with Meter("building", "images") as meter:
        meter.write("half way")
    assert capsys.readouterr() == ("", "hello\nhalf way\n")


def test_json_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"data": "Fotos für später", "splits": {"train": 3}, "top5": None}
    print_json(value)
    out, err = capsys.readouterr()
    assert json.loads(out) == value
    assert out.endswith("}\n")
    assert err == ""


def test_tables_go_to_stdout_and_take_odd_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table("records", ["class", "train"], [["[red]fox[/b]", "1,234"]])
    out, err = capsys.readouterr()
    assert "[red]fox[/b]" in out
    assert "1,234" in out
    assert err == ""


COLUMNS = ["run", "best", "learning_rate", "optimizer", "data"]
ROWS = [
    ["first", "0.9010", "0.0006", "adamw", "/photos/records-of-cats-and-dogs"],
    ["späte 写真", "0.8420", "0.02", "momentum", "records"],
]


def test_a_table_in_a_file_has_a_line_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    print_table("runs", COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "runs"
    for row in ROWS:
        cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
        assert row in cells


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_a_table_wider_than_the_terminal_comes_in_parts(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    print_table("runs", COLUMNS, ROWS)
    text = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    lines = text.splitlines()
    assert max(map(cell_len, lines)) <= columns
    # A part starts with a line of its own, and has its rows' first cells.
    parts = sum(line.startswith("┏") for line in lines)
    assert text.count("first") == text.count("späte") == parts
    if columns == 80:
        assert parts == 2
        for cell in (cell for row in (COLUMNS, *ROWS) for cell in row):
            assert cell in text
    for missing in "…", "...":
        assert missing not in text
