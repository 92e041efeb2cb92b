"""The limits' deliveries: what they say they did is what they did."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alexnet.benchmarks import limits
from alexnet.benchmarks.limits import on_all_cpus
from alexnet.benchmarks.measure import Deliveries
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.read.opened_records import open_records
from tests.conftest import smooth_photo


def test_disk_read_counts_every_image_once_a_round(tmp_path: Path) -> None:
    """Whatever the block: a round over all shards is all of the images."""
    paths = [tmp_path / "a", tmp_path / "b"]
    paths[0].write_bytes(bytes(3 * limits.READ_BYTES + 17))
    paths[1].write_bytes(bytes(limits.READ_BYTES // 2))
    deliveries = limits.disk_read([str(path) for path in paths], 100)
    one_round = [next(deliveries) for _ in range(4 + 1)]
    assert sum(one_round) == pytest.approx(100)
    assert sum(islice(deliveries, 5)) == pytest.approx(100)
    deliveries.close()


def photo(number: int, width: int, height: int) -> bytes:
    encoded = io.BytesIO()
    smooth_photo(number, width, height).save(encoded, "JPEG")
    return encoded.getvalue()


@pytest.fixture(params=[1, 3])
def cpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many CPUs the limits find."""
    monkeypatch.setattr(limits, "num_cpus", lambda: request.param)
    return int(request.param)


def count_until(deliveries: Deliveries, is_done: Callable[[], bool]) -> float:
    """What is delivered until all is done, however the threads' turns fall."""
    counted = 0.0
    while not is_done():
        counted += next(deliveries)
    deliveries.close()
    return counted


def test_jpeg_decode_decodes_all_images_in_turn(
    monkeypatch: pytest.MonkeyPatch, cpus: int
) -> None:
    monkeypatch.setattr(limits, "DECODE_CHUNK", 2)
    decoded = []
    monkeypatch.setattr(limits, "_decode", lambda image, _: decoded.append(image))
    images = [photo(number, 16, 16) for number in range(7)]
    deliveries = limits.jpeg_decode(images)
    counted = count_until(deliveries, lambda: set(decoded) == set(images))
    # Some were decoded after the last was counted.
    assert counted <= len(decoded) <= counted + 2 * 4 * cpus


def test_jpeg_decode_yields_pillows_pixels() -> None:
    """Memory is as large as the largest photo's; a smaller one fills its start."""
    for image in (photo(0, 40, 30), photo(1, 16, 24)):
        expected = np.asarray(Image.open(io.BytesIO(image)))
        memory = np.zeros(40 * 30 * 3, np.uint8)
        limits._decode(image, memory)
        found = memory[: expected.size].reshape(expected.shape)
        assert np.abs(found.astype(int) - expected).max() <= 2


def test_photos_of_any_size_find_room() -> None:
    """The largest is not the one with the longest side."""
    deliveries = limits.jpeg_decode([photo(0, 60, 8), photo(1, 30, 30)])
    assert sum(islice(deliveries, 8)) == 8
    deliveries.close()


class Watched:
    """numpy, but for one function whose targets and results are kept."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.results: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        if name != self.name:
            return getattr(np, name)

        def watched(*arguments: Any, **named: Any) -> None:
            getattr(np, name)(*arguments, **named)
            self.results.append(named.get("out", arguments[0]).copy())

        return watched


@pytest.mark.parametrize(
    ("limit", "name"), [(limits.memory_copy, "copyto"), (limits.memory_gather, "take")]
)
def test_memory_limits_move_every_image_whole(
    limit: Callable[[int, int], Deliveries],
    name: str,
    cpus: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """84 numbered images in batches of 7: all of them, as often as was counted."""
    pool = np.repeat(np.arange(84, dtype=np.uint8)[:, None], 12, axis=1)
    all_rows = set(range(84))
    monkeypatch.setattr(limits, "_pool", lambda batch_size, image_bytes: pool)
    numpy = Watched(name)
    monkeypatch.setattr(limits, "np", numpy)
    deliveries = limit(7, 12)
    counted = count_until(
        deliveries,
        lambda: {row for part in [*numpy.results] for row in part[:, 0]} == all_rows,
    )
    moved = np.concatenate(numpy.results)
    assert counted <= len(moved)
    assert all(len(part) <= -(-7 // cpus) for part in numpy.results)
    assert (moved == moved[:, :1]).all()
    assert set(moved[:, 0]) == all_rows
    in_order = [(np.diff(part[:, 0].astype(int)) == 1).all() for part in numpy.results]
    assert all(in_order) == (name == "copyto")


def test_the_pool_is_larger_than_asked_in_whole_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "POOL_BYTES", 1000)
    pool = limits._pool(7, 12)
    assert pool.shape == (84, 12)
    assert pool.all()


ALWAYS = ["disk read", "memory copy", "memory gather"]


@pytest.mark.parametrize(
    ("storage", "names"),
    [
        ("jpeg", [*ALWAYS, "jpeg decode"]),
        ("original", [*ALWAYS, "jpeg decode", "jpeg decode, stored square"]),
        ("raw", ALWAYS),
        ("yuv420", ALWAYS),
    ],
)
def test_limits_are_those_that_apply(
    record_sets: dict[StorageName, Path], storage: StorageName, names: list[str]
) -> None:
    timings = limits.plan_limits(open_records(record_sets[storage]), 6)
    assert [timing.name for timing in timings] == names


@pytest.mark.usefixtures("libturbojpeg")
def test_planes_have_a_limit_beside_that_of_rgb(
    record_sets: dict[StorageName, Path],
) -> None:
    records = open_records(record_sets["jpeg"], decode="planes")
    *always, rgb, planes = limits.plan_limits(records, 6)
    names = [timing.name for timing in (*always, rgb, planes)]
    assert names == [*ALWAYS, "jpeg decode", "jpeg decode, planes"]
    assert next(planes.start()) > 0


@pytest.mark.parametrize(("storage", "size"), [("raw", 768), ("yuv420", 384)])
def test_memory_is_moved_as_images_are_stored(
    record_sets: dict[StorageName, Path],
    storage: StorageName,
    size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """3 bytes a pixel of 16 x 16, or 1.5."""
    pools = []

    def pool(batch_size: int, image_bytes: int) -> np.ndarray:
        pools.append((batch_size, image_bytes))
        return np.ones([6, image_bytes], np.uint8)

    monkeypatch.setattr(limits, "_pool", pool)
    for timing in limits.plan_limits(open_records(record_sets[storage]), 6)[1:]:
        deliveries = timing.start()
        assert next(deliveries) > 0
        deliveries.close()
    assert pools == [(6, size), (6, size)]


def test_the_stored_square_is_what_a_jpeg_record_holds(
    record_sets: dict[StorageName, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the records that were built as `jpeg` of the same photos."""
    squares: list[Any] = []
    monkeypatch.setattr(limits, "jpeg_decode", squares.extend)
    limits.plan_limits(open_records(record_sets["original"]), 6)[-1].start()
    built = limits.stored_photos(open_records(record_sets["jpeg"]), 18)
    assert sorted(squares) == sorted(image for image, _ in built)


def test_stored_photos_are_the_originals(
    record_sets: dict[StorageName, Path], photos: Path
) -> None:
    """The storage `original` keeps the files' bytes, of class folders 0 and 1."""
    files = {path.read_bytes(): path.parent.name for path in photos.glob("*/*.jpg")}
    records = open_records(record_sets["original"])
    stored = list(limits.stored_photos(records, 10))
    assert len(stored) == 10
    assert [files[image] for image, _ in stored] == [
        ("cat", "dog")[label] for _, label in stored
    ]


CPUS = 3


@pytest.fixture
def three_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "num_cpus", lambda: CPUS)


def seen_until(deliveries: Deliveries, wanted: set[float]) -> set[float]:
    """What is delivered until all of `wanted` came; it may take one thread long."""
    seen: set[float] = set()
    for delivered in islice(deliveries, 1_000_000):
        seen.add(delivered)
        if seen >= wanted:
            break
    return seen


@pytest.mark.usefixtures("three_cpus")
def test_every_cpu_delivers_what_it_did() -> None:
    def work(cpu: int, cpus: int) -> Deliveries:
        assert cpus == CPUS
        while True:
            time.sleep(0.001)
            yield 10**cpu

    deliveries = on_all_cpus(work)
    assert seen_until(deliveries, {1, 10, 100}) == {1, 10, 100}
    deliveries.close()


@pytest.mark.usefixtures("three_cpus")
def test_a_slow_one_holds_no_other_up() -> None:
    held = threading.Event()

    def work(cpu: int, cpus: int) -> Deliveries:
        if cpu == 0:
            held.wait()
        yield from iter(lambda: cpu, None)

    deliveries = on_all_cpus(work)
    try:
        assert seen_until(deliveries, {1, 2}) == {1, 2}
    finally:
        held.set()
        deliveries.close()


@pytest.mark.usefixtures("three_cpus")
def test_nobody_runs_far_ahead_and_all_end_when_closed() -> None:
    done, threads = [0] * CPUS, set(threading.enumerate())

    def work(cpu: int, cpus: int) -> Deliveries:
        for done[cpu] in count(1):
            yield 1

    deliveries = on_all_cpus(work)
    assert sum(islice(deliveries, 20)) == 20
    time.sleep(0.05)
    ahead = sum(done) - 20
    deliveries.close()
    assert ahead <= 3 * CPUS
    assert threads.issuperset(threading.enumerate())


@pytest.mark.usefixtures("three_cpus")
def test_an_error_ends_it() -> None:
    def work(cpu: int, cpus: int) -> Deliveries:
        yield 1
        if cpu == 1:
            raise ValueError("broken photo")
        yield from iter(lambda: 1, None)

    with pytest.raises(ValueError, match="broken photo"):
        list(on_all_cpus(work))
