"""Slots give back the results that were put into them, whether these fit or not."""

from __future__ import annotations

import os

import pytest

from alexnet.pipeline.build.encode_job import EncodeResult
from alexnet.pipeline.build.shared_memory import SharedMemory
from alexnet.pipeline.source.scan import ImageFile

SLOT_BYTES = 10
FILE = ImageFile("cat/1.jpg", 0, 5)
BAD = EncodeResult(FILE, reason="no image")


def encoded(record: bytes) -> EncodeResult:
    return EncodeResult(FILE, record, record[::-1], len(record) + 1, len(record) + 2)


@pytest.mark.parametrize(
    ("results", "sizes"),
    [
        pytest.param(
            [
                *(encoded(b"1234"), BAD, encoded(b""), encoded(b"567890")),
                *(encoded(b"full"), encoded(b""), BAD),
            ],
            [4, 0, 0, 6, 0, 0, 0],
            id="until the slot is full",
        ),
        pytest.param(
            [encoded(record) for record in (b"12345678", b"too much", b"90")],
            [8, 0, 2],
            id="a smaller one after one that did not fit",
        ),
    ],
)
def test_records_that_fit_lie_in_the_slot_and_all_come_back(
    results: list[EncodeResult], sizes: list[int]
) -> None:
    memory = SharedMemory.allocate(2, SLOT_BYTES)
    entries = list(memory.put(1, results))
    assert [entry.size for entry in entries] == sizes
    assert all(not entry.result.record for entry in entries if entry.size)
    assert list(memory.take(1, entries)) == results


@pytest.mark.parametrize("slot", [0, None])
def test_without_memory_or_slot_records_stay_in_their_results(
    slot: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if slot is not None:
        monkeypatch.delattr(os, "memfd_create")
    memory = SharedMemory.allocate(2, SLOT_BYTES)
    entries = list(memory.put(slot, [encoded(b"1234")]))
    assert entries == [(0, encoded(b"1234"))]
    assert list(memory.take(slot, entries)) == [encoded(b"1234")]


def test_slots_do_not_touch_one_another() -> None:
    memory = SharedMemory.allocate(3, SLOT_BYTES)
    results = [[encoded(bytes([number]) * SLOT_BYTES)] for number in range(3)]
    entries = {slot: list(memory.put(slot, results[slot])) for slot in (1, 2, 0)}
    assert [list(memory.take(slot, entries[slot])) for slot in range(3)] == results


def test_a_result_that_was_taken_stays_when_its_slot_is_used_again() -> None:
    memory = SharedMemory.allocate(1, SLOT_BYTES)
    (first,) = memory.take(0, memory.put(0, [encoded(b"first")]))
    list(memory.put(0, [encoded(b"other")]))
    assert first == encoded(b"first")


def test_memory_closes_its_file_when_it_goes() -> None:
    """Python warns of a file that nobody closed, which ends a test here."""
    memory = SharedMemory.allocate(1, SLOT_BYTES)
    file = memory.file
    assert file is not None and not file.closed
    del memory
    assert file.closed
