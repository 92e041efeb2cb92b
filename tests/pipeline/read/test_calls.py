"""Python ends while tf.data's threads call into it, as in a script's last line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread

import pytest

from alexnet.pipeline.read.calls import Calls
from tests.conftest import slow

# Every image takes its time, so that batches are being made when the script ends.
SCRIPT = """
import sys, time
import alexnet
from alexnet.pipeline.read import mapped

find = mapped.find_jpeg
mapped.find_jpeg = lambda record: time.sleep(0.02) or find(record)
records = alexnet.open_records(sys.argv[1])
batches = iter(records.train(batch_size=8, reader=sys.argv[2]).dataset)
next(batches)
print("the end")
"""
# A process that hangs does so for ever.
MOST_SECONDS = 300


@pytest.mark.parametrize("reader", ["mmap", slow("stream")])
def test_a_script_ends_that_holds_an_iterator(
    record_sets: dict[str, Path], reader: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(record_sets["jpeg"]), reader],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "1"},  # warnings, no information
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
    )
    assert (ended.returncode, ended.stdout) == (0, "the end\n")
    assert "shutdown" not in ended.stderr and "Traceback" not in ended.stderr


def test_leaving_waits_for_the_calls_that_are_under_way() -> None:
    calls, begun, ended, left = Calls(), Event(), Event(), list[bool]()

    def call() -> None:
        begun.set()
        time.sleep(0.5)
        ended.set()

    def leave() -> None:
        calls.wait()
        left.append(ended.is_set())

    called, leaving = Thread(target=calls.counted(call)), Thread(target=leave)
    called.start()
    begun.wait()
    leaving.start()
    leaving.join()
    assert left == [True]
