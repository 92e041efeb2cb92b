"""Lock a folder for one process while it builds, trains or fetches there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from io import FileIO
from pathlib import Path

from alexnet.pipeline.errors import AlexnetError


@contextmanager
def sole_process(lock: Path, taken: AlexnetError) -> Iterator[None]:
    """Hold a lock file for the block; delete its folder if that is new and stays empty.

    The system unlocks the file when this process ends, however it ends: a file that a
    killed process has left behind keeps nobody out.

    Raises:
        AlexnetError: `taken`, when another process holds the lock.
    """
    # Closed even if what comes before that is interrupted.
    with removed_when_empty(lock.parent), lock_file(lock, taken) or nullcontext():
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink()


@contextmanager
def in_turn(lock: Path) -> Iterator[None]:
    """Hold a lock file for the block, once no other process or thread holds it.

    It is deleted after that.
    """
    with _await_lock(lock) or nullcontext():
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink()


def _await_lock(path: Path) -> FileIO | None:
    """Lock a file as `lock_file` does, once nobody else has it locked."""
    while True:
        with ExitStack() as opened:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = opened.enter_context(FileIO(path, "a"))
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    opened.pop_all()
                    return file
            except FileNotFoundError:  # who held it has deleted it
                pass
            except OSError:
                return None


def clear_if_free(lock: Path, left_behind: Path) -> bool:
    """Delete a lock file that nobody holds, and a file that its holder has left behind.

    Tell whether that was done.
    """
    with suppress(OSError), FileIO(lock) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It may be another's by now, who made it anew after our opening.
        if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
            left_behind.unlink(missing_ok=True)
            lock.unlink()
            return True
    return False


@contextmanager
def removed_when_empty(folder: Path) -> Iterator[None]:
    """Delete the folder, and those above it, that the block made and left empty."""
    absent = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    finally:
        for path in absent:
            with suppress(OSError):  # it is not empty
                path.rmdir()


def lock_file(path: Path, taken: AlexnetError) -> FileIO | None:
    """Lock a file and return it, open; a process that inherits it holds it as well.

    Return None where there are no locks, as on some network file systems, or where
    nothing can be written: whoever writes there first gives a better error.

    Raises:
        AlexnetError: `taken`, when another process holds the lock.
    """
    with ExitStack() as opened:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = opened.enter_context(FileIO(path, "a"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it may have deleted it between our opening and our locking.
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                opened.pop_all()
                return file
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:
            return None
    raise taken
