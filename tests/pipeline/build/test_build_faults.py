"""A build that is killed, starved, or run twice: what it leaves is whole, or goes on.

Real kills in processes of their own: `BUILD` ends itself before a file operation that
is counted, or is killed from outside.
"""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, get_args

import pytest

import alexnet.pipeline.build.build
from alexnet.pipeline.build.build import build
from alexnet.pipeline.build.processes import Worker
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.source.scan import Source, scan
from tests.conftest import slow, smooth_photo, soak
from tests.pipeline.build.test_build import interrupted
from tests.pipeline.deadly import CRASHING, DeadlyPhotosJob, HarmlessPhotosJob

ROOT = Path(__file__).parents[3]
NUM_MANY, NUM_SHARDS, SIDE = 60, 3, 16

# Arguments: source, out, storage, workers, the file operation in `out` before which it
# is killed, and the number of images after which it waits for that; it prints how many
# images are done, and of operations at the end.
BUILD = f"""
import os, sys, time
from pathlib import Path
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.source.scan import scan

source, out, storage, workers, last, pause = sys.argv[1:]
operations = 0

def count(event, arguments):
    global operations
    if event == "open" or event.startswith("os."):
        if str(arguments[0]).startswith(out):
            operations += 1
            if operations == int(last):
                os.kill(os.getpid(), 9)

def progress(done, total):
    print(done, flush=True)
    if done == int(pause):
        time.sleep(60)

sys.addaudithook(count)
build(
    scan(Path(source)),
    Path(out),
    BuildConfig(storage=storage, side={SIDE}, shards={NUM_SHARDS}),
    workers=int(workers),
    progress=progress,
)
print(operations)
"""
NEVER = -1


@dataclass(frozen=True)
class Many:
    """A source of tiny photos, and the files of its unbroken set for each storage."""

    folder: Path
    source: Source
    whole: dict[str, dict[str, bytes]]


def content(folder: Path) -> dict[str, bytes]:
    """Every file, hidden ones too, and every folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        if path.is_file()
        else b""
        for path in folder.rglob("*")
    }


def config(storage: str) -> BuildConfig:
    return BuildConfig.from_json(
        {"storage": storage, "side": SIDE, "shards": NUM_SHARDS}
    )


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Many:
    folder = tmp_path_factory.mktemp("many")
    for number in range(NUM_MANY):
        photo = smooth_photo(number, 20 + number % 7, 20 + number % 5)
        photo.save(folder / f"{('cat', 'dog')[number % 2]}.{number}.png")
    source, whole = scan(folder), {}
    for storage in get_args(StorageName):
        out = tmp_path_factory.mktemp("whole") / storage
        build(source, out, config(storage), workers=1)
        whole[storage] = content(out)
    return Many(folder, source, whole)


def start(
    many: Many,
    out: Path,
    storage: str,
    workers: int,
    last: int = NEVER,
    pause: int = NEVER,
) -> subprocess.Popen[str]:
    """A build in a process of its own, and of a session of its own."""
    words = [many.folder, out, storage, workers, last, pause]
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "ALEXNET_TEST": str(out)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def processes(out: Path) -> list[Path]:
    """The processes that belong to the build into `out`, in /proc."""
    mark = f"ALEXNET_TEST={out}\0".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                found.append(folder)
        except OSError:  # it has ended
            continue
    return found


def wait_for_end(out: Path) -> None:
    until = time.monotonic() + 60
    while processes(out):
        assert time.monotonic() < until, "processes are left behind"
        time.sleep(0.05)


def wait_for_images(stdout: IO[str] | None, images: int) -> None:
    assert stdout is not None
    for line in stdout:
        if int(line) >= images:
            return
    pytest.fail(f"the build ended before {images} images")


def check_goes_on(many: Many, out: Path, storage: str) -> None:
    """What was left at a kill is whole if it says so; the next build completes it."""
    whole = many.whole[storage]
    if (out / "dataset.json").exists():
        left = content(out)
        assert {name: left.get(name) for name in whole} == whole
    build(many.source, out, config(storage), workers=1)
    assert content(out) == whole


def kill_before(many: Many, out: Path, storage: str, operation: int) -> bool:
    """Kill a build before a file operation; False when it has no more so many."""
    killed = start(many, out, storage, workers=1, last=operation)
    killed.communicate(timeout=300)
    assert killed.returncode in (0, -signal.SIGKILL)
    check_goes_on(many, out, storage)
    return killed.returncode != 0


@pytest.mark.parametrize(
    ("storage", "operation"),
    [("jpeg", 9), ("raw", 30), ("yuv420", 3), ("original", 61)],
)
def test_a_build_killed_at_a_file_operation_goes_on(
    many: Many, tmp_path: Path, storage: str, operation: int
) -> None:
    assert kill_before(many, tmp_path / "out", storage, operation)


@pytest.mark.parametrize(
    "storage", [slow("yuv420"), soak("jpeg"), soak("raw"), soak("original")]
)
def test_a_build_killed_at_any_file_operation_goes_on(
    many: Many, tmp_path: Path, storage: str
) -> None:
    operation = 1
    while kill_before(many, tmp_path / str(operation), storage, operation):
        operation += 2
    assert operation > 50  # of which every other one was tried


def kill_with_workers(many: Many, out: Path, storage: str, images: int) -> None:
    """Kill a build with two workers when it has done so many images."""
    killed = start(many, out, storage, workers=2, pause=images)
    wait_for_images(killed.stdout, images)
    # A build, two workers, and the tracker that Python starts for the last two.
    assert len(processes(out)) == 4
    for process in processes(out):
        assert "/dev/shm/" not in (process / "maps").read_text()
    killed.kill()
    killed.communicate(timeout=300)
    wait_for_end(out)
    check_goes_on(many, out, storage)


def test_a_killed_build_leaves_no_process_and_no_shared_memory(
    many: Many, tmp_path: Path
) -> None:
    kill_with_workers(many, tmp_path / "out", "jpeg", images=1)


@pytest.mark.parametrize(
    "storage", [slow("jpeg"), soak("raw"), soak("yuv420"), soak("original")]
)
def test_a_build_with_workers_killed_at_any_time_goes_on(
    many: Many, tmp_path: Path, storage: str
) -> None:
    draw = random.Random(storage)
    for number in range(5):
        out = tmp_path / f"images {number}"
        kill_with_workers(many, out, storage, draw.randrange(NUM_MANY - 10))
    for number in range(10):
        out = tmp_path / f"seconds {number}"
        killed = start(many, out, storage, workers=2)
        time.sleep(draw.uniform(0.1, 1.5))
        killed.kill()
        killed.communicate(timeout=300)
        wait_for_end(out)
        check_goes_on(many, out, storage)


@pytest.mark.parametrize("operations", [2, 3, 12, 21, 30])
def test_a_kill_while_an_old_set_is_deleted_is_mended_by_the_next_build(
    many: Many, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operations: int
) -> None:
    out = tmp_path / "out"
    build(many.source, out, BuildConfig(side=20, shards=NUM_SHARDS + 2), workers=1)
    unlink = Path.unlink
    left = operations

    def killed(path: Path, missing_ok: bool = False) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            build(many.source, out, config("jpeg"), workers=1, overwrite=True)
    assert not (out / "dataset.json").exists()
    assert list(out.rglob("train-*"))
    with pytest.raises(DataError, match=r"other settings \(.*Say `overwrite=True`"):
        build(many.source, out, config("jpeg"), workers=1)
    build(many.source, out, config("jpeg"), workers=1, overwrite=True)
    assert content(out) == many.whole["jpeg"]


def test_notes_without_their_settings_are_void(many: Many, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # All but the last shard are finished.
    interrupted(many.source, out, NUM_MANY, config("jpeg"))
    for path in (*out.glob("*.tfrecord"), out / ".build" / "settings.json"):
        path.unlink()
    assert list((out / ".build").glob("train-*.json"))
    interrupted(many.source, out, NUM_MANY, config("raw"))
    check_goes_on(many, out, "raw")


def test_a_second_build_into_the_folder_says_so_and_stops(
    many: Many, tmp_path: Path
) -> None:
    out, messages = tmp_path / "out", []

    def again(done: int, total: int) -> None:
        before = content(out)
        for overwrite in (False, True):
            with pytest.raises(DataError) as raised:
                build(many.source, out, config("jpeg"), overwrite=overwrite)
            messages.append(str(raised.value))
        assert content(out) == before

    build(many.source, out, config("jpeg"), workers=1, progress=again)
    assert content(out) == many.whole["jpeg"]
    (message,) = set(messages)
    assert message.startswith(f"another process is building in {out}")
    assert "Wait for it to end, or choose another `out`" in message


@pytest.mark.parametrize("interrupted", ["unlink", "rmdir"])
def test_a_lock_is_let_go_of_when_the_end_is_interrupted(
    many: Many, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: str
) -> None:
    """Ctrl-C while a build tidies up, in a process that goes on."""
    out = tmp_path / "out"
    whole = getattr(Path, interrupted)

    def interrupt(path: Path, **options: bool) -> None:
        if path.name in (".build", "lock"):
            raise KeyboardInterrupt
        whole(path, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as stopped:
        patch.setattr(Path, interrupted, interrupt)
        build(many.source, out, config("jpeg"), workers=1)
    assert stopped.tb  # what it refers to is alive, as in a notebook
    check_goes_on(many, out, "jpeg")


def test_processes_end_when_the_end_is_interrupted(
    many: Many, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, ended = Worker.end, 0

    def interrupt(worker: Worker) -> None:
        nonlocal ended
        end(worker)
        ended += 1
        raise KeyboardInterrupt

    monkeypatch.setattr(Worker, "end", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build(many.source, tmp_path / "out", config("jpeg"), workers=3)
    assert ended == 3
    assert multiprocessing.active_children() == []


def test_a_file_system_without_locks_is_built_on(
    many: Many, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    build(many.source, tmp_path, config("jpeg"), workers=1)
    assert content(tmp_path) == many.whole["jpeg"]


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 2},
        slow({"workers": 1, "isolated": True}),
        slow({"workers": 1, "beam": ()}),
    ],
    ids=["two processes", "one", "beam"],
)
def test_a_photo_that_crashes_its_decoder_is_set_aside_and_the_rest_goes_on(
    many: Many, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setattr(alexnet.pipeline.build.build, "EncodeJob", DeadlyPhotosJob)
    out = tmp_path / "out"
    report = build(many.source, out, config("jpeg"), max_bad=1, **options)
    reasons = {bad.key: bad.reason for bad in report.quarantined}
    assert reasons == dict.fromkeys(CRASHING, "its decoder crashed (signal 11)")
    assert report.encoded == NUM_MANY - 2
    kept = tmp_path / "kept"
    # One process that finds the two unreadable writes the same records.
    monkeypatch.setattr(alexnet.pipeline.build.build, "EncodeJob", HarmlessPhotosJob)
    build(many.source, kept, config("jpeg"), workers=1, max_bad=1)
    shards = {k: v for k, v in content(kept).items() if k.endswith(".tfrecord")}
    assert shards.items() <= content(out).items()


RUN = "from alexnet.cli.main import run; run()"


def build_words(many: Many, out: Path) -> list[str]:
    options = f"--side {SIDE} --shards {NUM_SHARDS} --workers 2"
    return ["records", "build", str(many.folder), "--out", str(out), *options.split()]


def test_a_file_that_may_not_grow_is_told_and_the_build_goes_on_later(
    many: Many, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    sizes = [len(data) for data in many.whole["jpeg"].values()]
    limit = f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, 2 * [{max(sizes) - 1}])"
    done = subprocess.run(
        [sys.executable, "-c", f"{limit}; {RUN}", *build_words(many, out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    (last,) = (line for line in done.stderr.splitlines() if "alexnet: " in line)
    assert f"{out}/" in last and ".tfrecord: File too large" in last
    assert "run the same command again to go on" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(out.glob(".*.partial"))
    check_goes_on(many, out, "jpeg")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_keeps_what_is_finished(
    many: Many, small_disk: Path
) -> None:
    out, filler = small_disk / "out", small_disk / "filler"

    def fill(done: int, total: int) -> None:
        if done == 35 and not filler.exists():
            with pytest.raises(OSError), filler.open("wb", 0) as file:
                while True:
                    file.write(bytes(2**12))

    with pytest.raises(OSError) as raised:
        build(many.source, out, config("raw"), workers=1, progress=fill)
    assert raised.value.errno == errno.ENOSPC
    assert str(raised.value.filename).startswith(f"{out}/")
    finished = {path.name: path.read_bytes() for path in out.glob("*.tfrecord")}
    assert finished and finished.items() <= many.whole["raw"].items()
    assert not list(out.glob(".*.partial"))
    with pytest.raises(DataError, match="not enough room"):
        build(many.source, out, config("raw"), workers=1)
    filler.unlink()
    report = build(many.source, out, config("raw"), workers=1)
    assert report.encoded < NUM_MANY
    assert content(out) == many.whole["raw"]


def test_a_disk_that_cannot_be_written(many: Many, small_disk: Path) -> None:
    out = small_disk / "out"
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(remount, check=True)
    with pytest.raises(OSError, match="Read-only file system") as raised:
        build(many.source, out, config("jpeg"), workers=1)
    assert str(raised.value.filename).startswith(str(out))
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    build(many.source, out, config("jpeg"), workers=1)
    subprocess.run(remount, check=True)
    # Nothing is left to do, so that nothing need be written.
    assert build(many.source, out, config("jpeg"), workers=1).encoded == 0


@contextmanager
def nobody() -> Iterator[None]:
    """The block runs as a user who may not write everywhere, as root may."""
    user = os.geteuid()
    if not user:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if not user:
            os.seteuid(user)


@pytest.mark.parametrize("begun", [False, True])
def test_a_folder_that_may_not_be_written(many: Many, begun: bool) -> None:
    with TemporaryDirectory() as place:  # pytest's own lets nobody else in
        folder = Path(place)
        out = folder / "out"
        if begun:
            (out / ".build").mkdir(parents=True)
            out.chmod(0o555)
        folder.chmod(0o555)
        with nobody(), pytest.raises(PermissionError) as error:
            build(many.source, out, config("jpeg"), workers=1)
        assert str(error.value.filename).startswith(str(out))
        assert list(content(folder)) == (["out", "out/.build"] if begun else [])
        for path in (folder, out):
            if path.exists():
                path.chmod(0o755)


def test_a_path_through_a_file_is_told_and_makes_nothing(
    many: Many, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError) as raised:
        build(many.source, tmp_path / "file" / "out", config("jpeg"), workers=1)
    assert str(raised.value.filename).startswith(str(tmp_path / "file"))
    assert content(tmp_path) == {"file": b"mine"}


def test_a_set_inside_its_source_is_no_part_of_it(many: Many, tmp_path: Path) -> None:
    source = tmp_path / "train"
    source.mkdir()
    for file in many.source.files:
        os.link(many.folder / file.key, source / file.key)
    out = source / "records"
    build(scan(source), out, config("jpeg"), workers=1)
    assert content(out) == many.whole["jpeg"]
    again = scan(source)
    assert again.files == many.source.files
    assert again.ignored == ("records/ (a record set)",)
    assert build(again, out, config("jpeg"), workers=1).encoded == 0


@pytest.mark.parametrize(
    "seconds",
    [0.0, *(slow(0.4 * n) for n in range(1, 5))],
)
def test_ctrl_c_while_workers_start_says_how_to_go_on(
    many: Many, tmp_path: Path, seconds: float
) -> None:
    out = tmp_path / "out"
    # Slow enough to be met at any of these moments.
    slow = "import alexnet.pipeline.records.tfrecord as e, time; f = e.frame;"
    slow += "e.frame = lambda record: time.sleep(0.05) or f(record);"
    command = subprocess.Popen(
        [sys.executable, "-c", slow + RUN, *build_words(many, out)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as a terminal, the signal reaches the workers too
    )
    assert command.stderr is not None
    said = command.stderr.readline()
    assert "60 images of 2 classes" in said
    time.sleep(seconds)
    os.killpg(command.pid, signal.SIGINT)
    _, said = command.communicate(timeout=300)
    assert command.returncode == 130
    assert "Traceback" not in said
    assert f"finished shards are kept in {out}; run the same command again" in said
    check_goes_on(many, out, "jpeg")
