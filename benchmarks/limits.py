"""What the machine itself can do with the same bytes: the ceilings of the ladder.

Bare work without TensorFlow, on as many threads as there are CPUs, timed in the same
run: no pipeline on this machine gets above these.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measure import Deliveries, Timing
from pipeline.reader import RecordSet, read_in_order
from pipeline.record import parse
from pipeline.workers import num_cpus

# Copied from: larger than a processor's caches.
POOL_BYTES = 2**28
READ_BYTES = 2**20
# Images a thread decodes before it waits for the others.
DECODE_CHUNK = 32
DECODED_PHOTOS = 512
JPEG_MAGIC = b"\xff\xd8"


def plan_limits(records: RecordSet, batch_size: int) -> list[Timing]:
    """The limits that apply to a record set's train split."""
    config, paths = records.manifest.config, records.paths("train")
    num_images = records.manifest.split("train").num_examples
    image_bytes = config.side**2 * 3
    limits = [
        Timing("disk read", lambda: disk_read(paths, num_images)),
        Timing("memory copy", lambda: memory_copy(batch_size, image_bytes)),
    ]
    stored = [image for image, _ in stored_photos(records, DECODED_PHOTOS)]
    # Raw records hold none; of originals, a few are PNGs.
    jpegs = [image for image in stored if image.startswith(JPEG_MAGIC)]
    if config.storage != "raw" and jpegs:
        limits.append(Timing("jpeg decode", lambda: jpeg_decode(jpegs)))
    return limits


def stored_photos(records: RecordSet, count: int) -> Iterator[tuple[bytes, int]]:
    """Stored image bytes and labels of the first train records."""
    storage = records.manifest.config.storage
    dataset = read_in_order(records.paths("train")).map(lambda r: parse(r, storage))
    return islice(dataset.as_numpy_iterator(), count)


def memory_copy(batch_size: int, image_bytes: int) -> Deliveries:
    """Batches of decoded images copied from memory to memory."""
    batches = -(-POOL_BYTES // (batch_size * image_bytes))
    # Written to, or every page of it would be the same one.
    pool = np.ones([batches, batch_size, image_bytes], np.uint8)
    batch, cpus = np.empty_like(pool[0]), num_cpus()
    with ThreadPoolExecutor(cpus) as threads:
        targets = np.array_split(batch, cpus)
        for source in cycle(pool):
            list(threads.map(np.copyto, targets, np.array_split(source, cpus)))
            yield batch_size


def jpeg_decode(images: Sequence[bytes]) -> Deliveries:
    """JPEG files decoded by libjpeg-turbo, through Pillow, which frees its lock."""
    size = DECODE_CHUNK * num_cpus()
    chunks = [images[start : start + size] for start in range(0, len(images), size)]
    with ThreadPoolExecutor(num_cpus()) as threads:
        for chunk in cycle(chunks):
            list(threads.map(_decode, chunk))
            yield len(chunk)


def _decode(image: bytes) -> None:
    with Image.open(io.BytesIO(image)) as opened:
        opened.convert("RGB")


def disk_read(paths: Sequence[str], num_images: int) -> Deliveries:
    """Shards read from end to end: at memory's speed when they were read before."""
    num_bytes = sum(Path(path).stat().st_size for path in paths)
    buffer = bytearray(READ_BYTES)
    for path in cycle(paths):
        with Path(path).open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                yield num_images * count / num_bytes
