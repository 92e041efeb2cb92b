"""Python ends while tf.data's threads call into it, as in a script's last line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from alexnet.pipeline.errors import ReadError
from alexnet.pipeline.read.calls import Calls
from tests.pipeline.read.test_image_folder import as_table
from tests.web_store import serve

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
# Of photos in a store that is slow once the first batch has come.
PHOTOS = """
import sys, time
import alexnet
from alexnet.pipeline.source import remote_store

fetch, asked = remote_store.fetch_range, []

def fetch_slowly(*place):
    asked.append(place)
    time.sleep(0 if len(asked) <= 4 else 2)
    return fetch(*place)

remote_store.fetch_range = fetch_slowly
photos = alexnet.open_photos(alexnet.Location(sys.argv[1]))
batches = iter(photos.train(batch_size=4).dataset)
next(batches)
print("the end")
"""
# Of a data service that sends nothing after the first batch.
SERVICE = """
import sys, time
import alexnet
from alexnet.pipeline.read.received import ReceivedBatches
from alexnet.pipeline.service.address import Address

def send(self, first, end):
    yield 0, self.batches.make_one(0)
    time.sleep(1000)

Address.require_dispatcher = lambda self: None
ReceivedBatches._send = send
records = alexnet.open_records(sys.argv[1])
reading = {"reader": "mmap", "data_service": "127.0.0.1:1"}
batches = iter(records.train(batch_size=8, **reading).dataset)
next(batches)
print("the end")
"""
# A process that hangs does so for ever.
MOST_SECONDS = 300
# What fetches photos fails for ten minutes before it gives up; a call does not end.
PROMPT_SECONDS = 25


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["mmap", "stream"])
def test_a_script_ends_that_holds_an_iterator(
    record_sets: dict[str, Path], reader: str
) -> None:
    require_end(SCRIPT, str(record_sets["jpeg"]), reader)


@pytest.mark.slow
def test_a_script_ends_that_holds_photos_of_a_slow_store(
    photos: Path, tmp_path: Path
) -> None:
    table = as_table(photos, tmp_path / "a.csv")
    with serve(table.parent) as store:
        require_end(PHOTOS, f"{store.url}/{table.name}", seconds=PROMPT_SECONDS)


@pytest.mark.slow
def test_a_script_ends_that_a_data_service_sends_nothing(
    record_sets: dict[str, Path],
) -> None:
    require_end(SERVICE, str(record_sets["jpeg"]), seconds=PROMPT_SECONDS)


def require_end(script: str, *words: str, seconds: float = MOST_SECONDS) -> None:
    """Check that a script ends well and without a word, in some seconds."""
    ended = subprocess.run(
        [sys.executable, "-c", script, *words],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "1"},  # warnings, no information
        capture_output=True,
        text=True,
        timeout=seconds,
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
    with pytest.raises(StopIteration):  # which ends a dataset
        calls.counted(call)()
    assert list(calls.counted_steps(iter([1, 2]))) == []


def test_steps_are_calls() -> None:
    calls = Calls()
    assert list(calls.counted_steps(iter([(1,), (2,)]))) == [(1,), (2,)]

    def steps() -> Iterator[int]:
        yield 1
        calls.is_leaving = True
        raise ReadError("gone")

    assert list(calls.counted_steps(steps())) == [1]
    calls.is_leaving = False
    failing = (1 // number for number in (1, 0))
    with pytest.raises(ZeroDivisionError):
        list(calls.counted_steps(failing))
