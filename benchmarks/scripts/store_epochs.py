"""Epochs of a set in a store against its link's limit, and against the same set here.

    python -m alexnet.benchmarks.scripts.store_epochs records --megabytes 40

Serves the set from a process of its own, at so many million bytes a second for all
connections together, and reads three epochs through an empty cache: the first against
the link, the others in turn with those of the folder.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from alexnet.pipeline.config import ReadConfig
from alexnet.pipeline.read.dataset import steps_per_epoch, train_dataset
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records

PIECE_BYTES = 2**16


class Link:
    """A link that all connections share."""

    def __init__(self, bytes_per_second: float) -> None:
        self._lock, self._rate, self._free = Lock(), bytes_per_second, 0.0

    def pass_through(self, num_bytes: int) -> None:
        """Wait as long as these bytes take, behind those before them."""
        with self._lock:
            self._free = max(self._free, time.monotonic()) + num_bytes / self._rate
            until = self._free
        time.sleep(max(0.0, until - time.monotonic()))


def serve(folder: Path, bytes_per_second: float) -> None:
    """Serve a folder for ever, ranges included; print the port first."""
    link = Link(bytes_per_second)

    class Handler(SimpleHTTPRequestHandler):
        """Whole files and ranges of them, at the link's pace."""

        def do_HEAD(self) -> None:
            """Answer with a file's size."""
            self._send_headers()

        def do_GET(self) -> None:
            """Answer with a file, or a range of it."""
            start, end, path = self._send_headers()
            with path.open("rb") as file:
                file.seek(start)
                while start < end:
                    piece = file.read(min(PIECE_BYTES, end - start))
                    link.pass_through(len(piece))
                    self.wfile.write(piece)
                    start += len(piece)

        def _send_headers(self) -> tuple[int, int, Path]:
            path = Path(folder) / self.path.lstrip("/")
            start, end = 0, path.stat().st_size
            if asked := self.headers.get("Range"):
                first, last = asked.removeprefix("bytes=").split("-")
                start, end = int(first), min(end, int(last) + 1)
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(end - start))
            self.send_header("Accept-Ranges", "bytes")
            if asked:
                size = path.stat().st_size
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
            self.end_headers()
            return start, end, path

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def time_epochs(records: OpenedRecords, config: ReadConfig, epochs: int) -> list[float]:
    """The seconds of each epoch."""
    steps, seconds = steps_per_epoch(records, config.batch_size), []
    batches = iter(train_dataset(records, config))
    for _ in range(epochs):
        start = time.perf_counter()
        for _ in range(steps):
            next(batches)
        seconds.append(time.perf_counter() - start)
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the ratios, pair by pair, and their medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=Path)
    parser.add_argument(
        "--megabytes", type=float, default=40, help="of the link, a second"
    )
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.serve:
        serve(given.records, given.megabytes * 1e6)
    words = ["--serve", "--megabytes", str(given.megabytes)]
    command = [sys.executable, "-m", __spec__.name, str(given.records), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = next(iter(server.stdout or ())).strip()
            measure(given, f"http://127.0.0.1:{port}")
        finally:
            server.kill()


def measure(given: argparse.Namespace, url: str) -> None:
    """Time the pairs."""
    config = ReadConfig(batch_size=given.batch_size)
    mapped = ReadConfig(batch_size=given.batch_size, reader="mmap")
    local = open_records(given.records)
    card = local.manifest.split("train")
    time_epochs(local, mapped, 1)  # a warm page cache, and TensorFlow's own start
    of_link, of_local = [], []
    for _ in range(given.pairs):
        with TemporaryDirectory() as cache:
            first, *others = time_epochs(
                open_records(url, cache=cache), config, given.epochs
            )
            here = time_epochs(local, mapped, given.epochs)
        of_link.append(card.num_bytes / first / (given.megabytes * 1e6))
        # Without the epoch in which each is mapped, and is checked.
        of_local.append(min(here[2:]) / min(others[1:]))
        print(
            f"first epoch {first:.2f} s, {of_link[-1]:.3f} of the link;"
            f" then {others[0]:.2f} and {min(others[1:]):.3f} s,"
            f" here {min(here[2:]):.3f} s: {of_local[-1]:.3f} of local"
        )
    for name, ratios in (("link", of_link), ("local", of_local)):
        print(f"{name}: median {statistics.median(ratios):.3f} of {sorted(ratios)}")


if __name__ == "__main__":
    main()
