"""The limits' deliveries: what they say they did is what they did."""

from __future__ import annotations

import io
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import limits
from pipeline.config import Storage
from pipeline.reader import open_records


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


def test_jpeg_decode_decodes_all_images_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "DECODE_CHUNK", 2)
    monkeypatch.setattr(limits, "num_cpus", lambda: 2)
    decoded = []
    monkeypatch.setattr(limits, "_decode", decoded.append)
    images = [bytes([number]) for number in range(7)]
    assert list(islice(limits.jpeg_decode(images), 4)) == [4, 3, 4, 3]
    assert sorted(decoded) == sorted(2 * images)


def test_jpeg_decode_reads_the_whole_image() -> None:
    """A cut file must fail: opening alone reads no more than its header."""
    encoded = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(encoded, "JPEG")
    assert next(limits.jpeg_decode([encoded.getvalue()])) == 1
    with pytest.raises(OSError, match="truncated"):
        next(limits.jpeg_decode([encoded.getvalue()[:1000]]))


@pytest.mark.parametrize("cpus", [1, 3])
def test_memory_copy_copies_every_row_of_a_batch(
    monkeypatch: pytest.MonkeyPatch, cpus: int
) -> None:
    monkeypatch.setattr(limits, "POOL_BYTES", 1000)
    monkeypatch.setattr(limits, "num_cpus", lambda: cpus)
    deliveries = limits.memory_copy(7, 12)
    assert next(deliveries) == 7
    batch, pool = (deliveries.gi_frame.f_locals[name] for name in ("batch", "pool"))
    assert pool.nbytes >= 1000
    batch[:] = 0
    next(deliveries)
    np.testing.assert_array_equal(batch, np.ones([7, 12], np.uint8))


@pytest.mark.parametrize(
    ("storage", "names"),
    [
        ("jpeg", ["disk read", "memory copy", "jpeg decode"]),
        ("original", ["disk read", "memory copy", "jpeg decode"]),
        ("raw", ["disk read", "memory copy"]),
    ],
)
def test_limits_are_those_that_apply(
    record_sets: dict[Storage, Path], storage: Storage, names: list[str]
) -> None:
    timings = limits.plan_limits(open_records(record_sets[storage]), 6)
    assert [timing.name for timing in timings] == names


def test_stored_photos_are_the_originals(
    record_sets: dict[Storage, Path], photos: Path
) -> None:
    """The storage `original` keeps the files' bytes, of class folders 0 and 1."""
    files = {path.read_bytes(): path.parent.name for path in photos.glob("*/*.jpg")}
    records = open_records(record_sets["original"])
    stored = list(limits.stored_photos(records, 10))
    assert len(stored) == 10
    assert [files[image] for image, _ in stored] == [
        ("cat", "dog")[label] for _, label in stored
    ]
