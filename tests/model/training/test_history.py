"""A history comes back as it was, or is refused by name."""

from __future__ import annotations

import random
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from alexnet.model.training.epoch_clock import EpochTime
from alexnet.model.training.history import EpochRecord, read_history, write_history
from alexnet.pipeline.errors import RunError

FIRST = EpochRecord(1, 10, 0.1 + 0.2, 1 / 3, 0.5, None, None, 1e3, 0.25, 1.5)
SECOND = EpochRecord(2, 20, 1e-7, 2 / 3, 0.75, 0.1, 1.0, 2e3, 0.0, 0.75, 3, 96.5)
TIME = EpochTime(step=0.7, host=0.05, validation=0.2, saving=0.3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.csv"


def test_round_trip(path: Path) -> None:
    assert read_history(path) == []
    timed = SECOND.with_time(TIME)
    write_history(path, [FIRST, timed])
    assert read_history(path) == [FIRST, timed]
    assert timed.time == TIME


def test_a_history_of_before_lacks_its_last_columns(path: Path) -> None:
    second = SECOND
    for lacking in ({"gpu_busy_percent": None}, {"skipped_steps": 0}):
        second = replace(second, **lacking)
        write_history(path, [FIRST, SECOND])
        lines = path.read_text().splitlines()
        columns = -5 if second.skipped_steps else -6
        path.write_text("\n".join(",".join(x.split(",")[:columns]) for x in lines))
        assert read_history(path) == [FIRST, second]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("epoch,", "epoche,", "epoche"),
        ("2,20", "3,20", "do not follow one another"),
        ("2,20", "two,20", "'two'"),
        (",1.5,", ",0,", "seconds is 0.0 in epoch 1"),
        (",0.5,", ",,", "accuracy is None in epoch 1"),
        (",0.5,", ",nan,", "accuracy is nan in epoch 1"),
        (",0.5,", ",0.5,0.5,0.5,0.5,", "damaged"),
        ("1,10", '"' + "9" * 200_000, "field limit"),
        ("1,10", "9" * 9_000 + ",10", "damaged"),
        ("1,10", "\udc80,10", "utf-8"),
    ],
)
def test_what_cannot_be_is_named(path: Path, old: str, new: str, told: str) -> None:
    write_history(path, [FIRST, SECOND])
    text = path.read_text().replace("\r\n", "\n")
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode("utf-8", "surrogateescape"))
    with pytest.raises(RunError) as error:
        read_history(path)
    assert f"{path} is damaged: " in str(error.value)
    assert told in str(error.value)


def test_garbage_never_gets_through(path: Path) -> None:
    """Bytes changed at random: numbers that can be, or an error that names the file."""
    write_history(path, [FIRST, SECOND])
    whole = path.read_bytes()
    rng = random.Random(5)
    refused = 0
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            history = read_history(path)
        except RunError as error:
            refused += 1
            assert str(path) in str(error)
            continue
        assert [record.epoch for record in history] == list(range(1, len(history) + 1))
        for record in history:
            values = [
                v
                for k, v in asdict(record).items()
                if not k.startswith(("val_", "gpu_"))
            ]
            assert all(float("-inf") < value < float("inf") for value in values)
    assert 100 < refused < 400
