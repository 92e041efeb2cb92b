"""One process at a time, by locks that die with whoever holds them."""

from __future__ import annotations

import errno
import multiprocessing
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.lock import (
    clear_if_free,
    in_turn,
    removed_when_empty,
    sole_process,
)

TAKEN = DataError("somebody is at it")


def hold(lock: Path, told: Connection) -> None:
    """Hold a lock until this process is killed."""
    with sole_process(lock, TAKEN):
        told.send("held")
        signal.pause()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "run" / ".lock"


def test_a_second_process_is_kept_out_until_the_first_is_killed(lock: Path) -> None:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    holder = context.Process(target=hold, args=(lock, theirs))
    holder.start()
    assert ours.recv() == "held"
    with pytest.raises(DataError, match="somebody is at it"), sole_process(lock, TAKEN):
        pass
    assert lock.is_file()  # the other's is left alone
    holder.kill()
    holder.join()
    assert lock.is_file()  # a killed process deletes nothing
    with sole_process(lock, TAKEN):
        assert lock.is_file()
    assert not lock.exists()


def test_what_was_made_for_the_lock_goes_with_it(lock: Path, tmp_path: Path) -> None:
    with sole_process(lock, TAKEN):
        pass
    assert not list(tmp_path.iterdir())
    with sole_process(lock, TAKEN):
        (lock.parent / "config.json").touch()
    assert [path.name for path in lock.parent.iterdir()] == ["config.json"]


def test_an_error_lets_go(lock: Path) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), sole_process(lock, TAKEN):
            raise KeyboardInterrupt


def test_where_nothing_can_be_written_the_block_says_so_itself(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with sole_process(tmp_path / "letter.txt" / ".lock", TAKEN):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_file_system_without_locks_keeps_nobody_out(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with sole_process(lock, TAKEN), sole_process(lock, TAKEN):
        pass
    assert not lock.exists()


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with removed_when_empty(tmp_path / "runs" / "first"):
        (tmp_path / "runs" / "first").mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert not list((tmp_path / "runs").iterdir())


def test_what_a_killed_process_left_is_cleared_and_nothing_of_a_live_one(
    tmp_path: Path,
) -> None:
    lock, partial = tmp_path / "lock", tmp_path / "partial"
    partial.touch()
    with in_turn(lock):
        assert not clear_if_free(lock, partial)
        assert lock.is_file() and partial.is_file()
    lock.touch()
    assert clear_if_free(lock, partial)
    assert not lock.exists() and not partial.exists()
    assert not clear_if_free(lock, partial)


def test_a_lock_is_not_cleared_from_under_whoever_takes_it(tmp_path: Path) -> None:
    lock, end = tmp_path / "lock", time.monotonic() + 0.5

    def clear() -> None:
        while time.monotonic() < end:
            clear_if_free(lock, tmp_path / "partial")

    clearer = threading.Thread(target=clear)
    clearer.start()
    while time.monotonic() < end:
        with in_turn(lock):
            assert lock.is_file()
            time.sleep(1e-4)
            assert lock.is_file()
    clearer.join()
