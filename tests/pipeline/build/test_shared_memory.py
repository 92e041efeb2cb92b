"""Slots give back what was put into them, whether it fits or not."""

from __future__ import annotations

import os
from typing import Any

import pytest

from alexnet.pipeline.build.shared_memory import Slots, Told
from alexnet.pipeline.records.encode import Encoded

SLOT_BYTES = 10


def encoded(record: bytes) -> Encoded:
    """A record whose photo's figures are its own."""
    return Encoded(record, bytes(reversed(record)), len(record) + 1, len(record) + 2)


def test_what_fits_is_told_by_its_length_and_all_of_it_comes_back() -> None:
    slots = Slots.make(2, SLOT_BYTES)
    records = [b"1234", None, b"", b"567890", b"full", b"", None]
    results = ["no image" if one is None else encoded(one) for one in records]
    told: list[Any] = slots.put(1, results)
    found = [one if isinstance(one, str) else one.record for one in told]
    assert found == [4, "no image", 0, 6, b"full", 0, "no image"]
    assert list(slots.take(1, told)) == results


def test_a_smaller_record_may_fit_after_one_that_did_not() -> None:
    slots = Slots.make(1, SLOT_BYTES)
    results = [encoded(one) for one in (b"12345678", b"too much", b"90")]
    told: list[Any] = slots.put(0, results)
    assert [one[0] for one in told] == [8, b"too much", 2]
    assert list(slots.take(0, told)) == results


def test_where_there_is_no_shared_memory_records_are_told_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    slots = Slots.make(2, SLOT_BYTES)
    told = slots.put(0, [encoded(b"1234")])
    assert told == [Told(*encoded(b"1234"))]
    assert list(slots.take(0, told)) == [encoded(b"1234")]


def test_slots_do_not_touch_one_another() -> None:
    slots = Slots.make(3, SLOT_BYTES)
    full = [[encoded(bytes([number]) * SLOT_BYTES)] for number in range(3)]
    told: dict[int, list[Any]] = {
        number: slots.put(number, full[number]) for number in (1, 2, 0)
    }
    assert [told[number][0][0] for number in range(3)] == [SLOT_BYTES] * 3
    assert [list(slots.take(number, told[number])) for number in range(3)] == full


def test_what_was_taken_stays_when_the_slot_is_used_again() -> None:
    slots = Slots.make(1, SLOT_BYTES)
    (first,) = slots.take(0, slots.put(0, [encoded(b"first")]))
    slots.put(0, [encoded(b"other")])
    assert first == encoded(b"first")
