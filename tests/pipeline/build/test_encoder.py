"""Workers give what one process gives, in order, however the records come back."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import SpawnProcess
from pathlib import Path
from threading import Barrier

import pytest

from alexnet.pipeline.build import processes
from alexnet.pipeline.build.encode_job import EncodeJob
from alexnet.pipeline.build.encoder import (
    CHUNK,
    MAX_SLOT_BYTES,
    SLOTS_PER_WORKER,
    encoder,
    useful_workers,
)
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.source.scan import ImageFile, scan
from tests.conftest import SIDE
from tests.pipeline.deadly import UNLUCKY, DeadlyJob, KeyStore, UnluckyJob, Unreadable

NO_PHOTOS = (("cat",), BuildConfig(), None)
# What a process does that frees 32 MiB again and again, in blocks as large as photos.
FREEING = """
import resource
def round(): blocks = [b"1" * 2**22 for _ in range(8)]
round()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10): round()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.parametrize(
    "record_bytes",
    [
        pytest.param(2000, id="records in slots"),
        pytest.param(1, id="slots too small for a record"),
        pytest.param(2**30, id="a photo a slot"),
    ],
)
def test_two_workers_give_what_one_does(photos: Path, record_bytes: int) -> None:
    source = scan(photos)
    job = EncodeJob(source.store, source.class_names, BuildConfig(side=SIDE), None)
    missing = ImageFile("cat/gone.jpg", 0, 0)
    files = [*source.files, missing, *reversed(source.files)]
    expected = [job.encode(file) for file in files]
    with encoder(job, 2, record_bytes) as encode:
        assert list(encode(files)) == expected
    assert [r.file for r in expected if not r.record] == [missing]


def test_more_chunks_than_are_in_flight_stay_in_order() -> None:
    job = EncodeJob(KeyStore(), *NO_PHOTOS)
    count = 3 * CHUNK * SLOTS_PER_WORKER * 2 + 1
    files = [ImageFile(f"{number:08}", 0, 1) for number in range(count)]
    with encoder(job, 2, 1000) as encode:
        results = list(encode(files))
    assert [result.file for result in results] == files
    for result in results:
        assert f"it begins with {result.file.key.encode().hex(' ')}" in result.reason


@pytest.mark.parametrize(
    ("num_files", "workers", "useful"),
    [(0, 8, 1), (CHUNK - 1, 8, 1), (3 * CHUNK, 8, 3), (99 * CHUNK, 8, 8)],
)
def test_workers_have_a_chunk_each(num_files: int, workers: int, useful: int) -> None:
    assert useful_workers(num_files, workers) == useful


@pytest.mark.slow
def test_photos_that_kill_a_worker_are_found_and_the_rest_goes_on() -> None:
    keys = ["kill 11", *"abcdefg", "kill 6", "exit 3"]
    job = DeadlyJob(KeyStore(), *NO_PHOTOS)
    files = [ImageFile(key, 0, 1) for key in keys]
    with encoder(job, 2, MAX_SLOT_BYTES // 3) as encode:
        reasons = [result.reason for result in encode(files)]
    crashed = {
        "kill 11": "its decoder crashed (signal 11)",
        "kill 6": "its decoder crashed (signal 6)",
        "exit 3": "its decoder crashed (exit status 3)",
    }
    assert reasons == [crashed.get(key, f"seen {key}") for key in keys]


def test_a_worker_that_is_killed_by_chance_costs_nothing(
    photos: Path, tmp_path: Path
) -> None:
    source = scan(photos)
    given = (source.store, source.class_names, BuildConfig(side=SIDE), None)
    files = [*source.files, *source.files]
    expected = [EncodeJob(*given).encode(file) for file in files]
    job = UnluckyJob(*given, moments=tmp_path)
    with encoder(job, 2, MAX_SLOT_BYTES // 8) as encode:
        assert list(encode(files)) == expected
    assert len(list(tmp_path.iterdir())) == len(UNLUCKY)


def test_what_a_worker_raises_is_raised_here() -> None:
    job = DeadlyJob(KeyStore(), *NO_PHOTOS)
    files = [ImageFile(key, 0, 1) for key in ("a", "raise it")]
    with (
        encoder(job, 2, 1000) as encode,
        pytest.raises(ArithmeticError, match="raise it") as raised,
    ):
        list(encode(files))
    assert "in encode" in str(raised.value.__cause__)  # the worker's own traceback


def test_workers_that_cannot_start_are_not_started_for_ever() -> None:
    job = EncodeJob(Unreadable(), *NO_PHOTOS)
    with (
        encoder(job, 2, 1000) as encode,
        pytest.raises(DataError, match=r"as soon as they start \(exit.*`workers=1`"),
    ):
        list(encode([ImageFile("a", 0, 1)]))


def test_a_script_is_not_run_again_by_its_workers(photos: Path, tmp_path: Path) -> None:
    """Nor does it need an `if __name__ == "__main__":` around its call."""
    script = tmp_path / "train.py"
    script.write_text(
        "import alexnet\n"
        "print('begun')\n"
        f"alexnet.build({str(photos)!r}, 'records', storage='raw', workers=2)\n"
        "import __main__\n"
        "print(__main__.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["begun", str(script)]


def test_workers_that_threads_start_together_leave_the_main_module() -> None:
    main = sys.modules["__main__"]
    together = Barrier(4)

    def start(_: int) -> None:
        together.wait()
        with processes._no_main_module():
            time.sleep(0.01)
            assert sys.modules["__main__"] is not main

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(start, range(4)))
    assert sys.modules["__main__"] is main


def test_a_process_that_the_system_refuses_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(process: SpawnProcess) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(SpawnProcess, "start", refused)
    job = EncodeJob(KeyStore(), *NO_PHOTOS)
    with (
        pytest.raises(
            DataError, match=r"cannot start .*: Resource.*`workers=1` starts none"
        ),
        encoder(job, 2, 1000),
    ):
        pass


def test_without_shared_memory_records_come_all_the_same(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(name: str) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "memfd_create", refused)
    source = scan(photos)
    job = EncodeJob(source.store, source.class_names, BuildConfig(side=SIDE), None)
    with encoder(job, 2, 2000) as encode:
        assert list(encode(source.files)) == [job.encode(f) for f in source.files]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_freed_memory_is_kept() -> None:
    keep = (
        "from alexnet.pipeline.build.encode_job import keep_freed_memory\n"
        "keep_freed_memory()\n"
    )
    faults = [
        int(subprocess.check_output([sys.executable, "-c", code], text=True))
        for code in (FREEING, keep + FREEING)
    ]
    assert faults[1] < faults[0] / 10
