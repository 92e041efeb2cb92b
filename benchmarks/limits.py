"""Limits: what the machine itself can do with the same bytes.

Bare work without TensorFlow, on as many threads as there are CPUs, timed in the same
run: no pipeline on this machine gets above these.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from queue import Queue
from threading import Event

import numpy as np
import simplejpeg

from alexnet.benchmarks.measure import Deliveries, Timing
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.read.errors import reading
from alexnet.pipeline.read.opened_records import OpenedRecords
from alexnet.pipeline.read.parse import parse
from alexnet.pipeline.read.stream import read_in_order
from alexnet.pipeline.records.image import read_image, to_square
from alexnet.pipeline.records.jpeg_planes import JPEG_PLANES

# Copied and gathered from: larger than a processor's caches.
POOL_BYTES = 2**28
# Batches alive at a time, as in the pipeline: two being made and two ahead. One alone
# would stay in the processor's caches, and be written half as fast again.
BATCHES_ALIVE = 4
READ_BYTES = 2**20
# Images a thread decodes before it says so.
DECODE_CHUNK = 16
DECODED_PHOTOS = 512
# Squares to encode first; more only delay the start.
ENCODED_SQUARES = 128
JPEG_MAGIC = b"\xff\xd8"


def plan_limits(records: OpenedRecords, batch_size: int) -> list[Timing]:
    """The limits on a record set's train split, as it is stored and as it could be."""
    storage, paths = records.storage, records.paths("train")
    num_images = records.manifest.split("train").num_examples
    image_bytes = storage.pixel_bytes(records.manifest.config.side)
    return [
        Timing("disk read", lambda: disk_read(paths, num_images)),
        Timing("memory copy", lambda: memory_copy(batch_size, image_bytes)),
        Timing("memory gather", lambda: memory_gather(batch_size, image_bytes)),
        *(_plan_decoding(records) if not storage.is_pixels else []),
    ]


def _plan_decoding(records: OpenedRecords) -> list[Timing]:
    config = records.manifest.config
    stored = [image for image, _ in stored_photos(records, DECODED_PHOTOS)]
    # Of originals, a few are PNGs.
    jpegs = [image for image in stored if image.startswith(JPEG_MAGIC)]

    def decode_squares() -> Deliveries:
        photos = stored[:ENCODED_SQUARES]
        return jpeg_decode([_as_jpeg(photo, config) for photo in photos])

    limits = [Timing("jpeg decode", lambda: jpeg_decode(jpegs))] if jpegs else []
    if not records.storage.is_square:
        limits.append(Timing("jpeg decode, stored square", decode_squares))
    if records.decode == "planes":
        decode = partial(JPEG_PLANES.decode, config=config)
        shape = JPEG_PLANES.image_shape(config.side)
        limits.append(
            Timing(JPEG_PLANES.limit, lambda: decode_all(jpegs, decode, shape))
        )
    return limits


def _as_jpeg(photo: bytes, config: BuildConfig) -> bytes:
    """The photo as the storage `jpeg` would hold it."""
    encoded = io.BytesIO()
    image = to_square(read_image(photo, config.side), config.side, config.resize)
    image.save(encoded, "JPEG", quality=config.quality)
    return encoded.getvalue()


def stored_photos(records: OpenedRecords, count: int) -> Iterator[tuple[bytes, int]]:
    """Stored image bytes and labels of the first train records.

    Raises:
        DataError: a shard is damaged.
    """
    dataset = read_in_order(records.paths("train")).map(
        lambda record: parse(record, records.storage)
    )
    with reading(records):
        yield from islice(dataset.as_numpy_iterator(), count)


def memory_copy(batch_size: int, image_bytes: int) -> Deliveries:
    """Decoded images copied from memory to memory, part of a batch at a time."""
    pool = _pool(batch_size, image_bytes)

    def copies(cpu: int, cpus: int) -> Deliveries:
        mine, part = np.array_split(pool, cpus)[cpu], -(-batch_size // cpus)
        targets = _targets(pool, part)
        for start in cycle(range(0, len(mine), part)):
            images = mine[start : start + part]
            np.copyto(next(targets)[: len(images)], images)
            yield len(images)

    return on_all_cpus(copies)


def memory_gather(batch_size: int, image_bytes: int) -> Deliveries:
    """Images copied from all over memory, in random order."""
    pool = _pool(batch_size, image_bytes)
    order = np.random.default_rng(0).permutation(len(pool))

    def gathers(cpu: int, cpus: int) -> Deliveries:
        mine, part = np.array_split(order, cpus)[cpu], -(-batch_size // cpus)
        targets = _targets(pool, part)
        for start in cycle(range(0, len(mine), part)):
            rows = mine[start : start + part]
            # Any mode but the default writes straight into `out`.
            np.take(pool, rows, axis=0, out=next(targets)[: len(rows)], mode="clip")
            yield len(rows)

    return on_all_cpus(gathers)


def _pool(batch_size: int, image_bytes: int) -> np.ndarray:
    """uint8 [whole batches, image_bytes], at least POOL_BYTES of it."""
    batches = -(-POOL_BYTES // (batch_size * image_bytes))
    # Written to, or every page of it would be the same one.
    return np.ones([batches * batch_size, image_bytes], np.uint8)


def _targets(pool: np.ndarray, rows: int) -> Iterator[np.ndarray]:
    """Memory for `rows` images, one piece after another as batches take turns."""
    return cycle([np.ones_like(pool[:rows]) for _ in range(BATCHES_ALIVE)])


def jpeg_decode(images: Sequence[bytes]) -> Deliveries:
    """JPEG files decoded by libjpeg-turbo itself, each thread into its own memory."""
    shapes = [simplejpeg.decode_jpeg_header(image)[:2] for image in images]
    most = max(height * width for height, width in shapes) * 3
    return decode_all(images, _decode, (most,))


def decode_all(
    images: Sequence[bytes],
    decode: Callable[[bytes, np.ndarray], None],
    shape: tuple[int, ...],
) -> Deliveries:
    """Images decoded to uint8 of a shape, each thread into its own memory."""

    def decodes(cpu: int, cpus: int) -> Deliveries:
        mine, target = images[cpu::cpus], np.zeros(shape, np.uint8)
        for start in cycle(range(0, len(mine), DECODE_CHUNK)):
            chunk = mine[start : start + DECODE_CHUNK]
            for image in chunk:
                decode(image, target)
            yield len(chunk)

    return on_all_cpus(decodes)


def _decode(image: bytes, target: np.ndarray) -> None:
    # Photos that Pillow takes may have errors that can be mended.
    simplejpeg.decode_jpeg(image, "RGB", buffer=target, strict=False)


def disk_read(paths: Sequence[str], num_images: int) -> Deliveries:
    """Shards read from end to end: at memory's speed when they were read before."""
    num_bytes = sum(Path(path).stat().st_size for path in paths)
    buffer = bytearray(READ_BYTES)
    for path in cycle(paths):
        with Path(path).open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                yield num_images * count / num_bytes


def on_all_cpus(work: Callable[[int, int], Deliveries]) -> Deliveries:
    """Run endless `work(cpu, num_cpus)` on a thread for each CPU, never in lockstep.

    A pool that hands out a round and waits for its end would be as slow as its slowest
    thread. The work has to free Python's lock for most of its time.
    """
    closed, cpus = Event(), num_cpus()
    # Nobody runs far ahead of what is counted.
    done: Queue[float | Exception] = Queue(2 * cpus)

    def run(cpu: int) -> None:
        try:
            for images in work(cpu, cpus):
                done.put(images)
                if closed.is_set():
                    return
        except Exception as error:
            done.put(error)

    with ThreadPoolExecutor(cpus) as threads:
        threads.map(run, range(cpus))
        try:
            while True:
                delivered = done.get()
                if isinstance(delivered, Exception):
                    raise delivered
                yield delivered
        finally:
            closed.set()
            # Whoever waits for room has it now, and ends.
            while not done.empty():
                done.get()
