"""A web server of a folder, on this machine, that can be made to misbehave."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from urllib.parse import unquote

CHUNK_BYTES = 2**14


@dataclass
class WebStore:
    """What a server serves and counts, and how it misbehaves."""

    folder: Path
    url: str = ""
    # How often a file was sent, by its name.
    sent: Counter[str] = field(default_factory=Counter)
    # How often a file is still to be sent with a flipped byte, or only half of it.
    spoilt: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    # Requests that are still to be answered by an error.
    failures: float = 0
    bytes_per_second: float = float("inf")
    lock: Lock = field(default_factory=Lock)

    @property
    def shards_sent(self) -> dict[str, int]:
        """How often each shard was sent."""
        return {k: n for k, n in self.sent.items() if k.endswith(".tfrecord")}

    def is_due(self, misbehaviours: Counter[str], name: str) -> bool:
        """Whether a file is to be sent wrong, one time less then."""
        with self.lock:
            due = misbehaviours[name] > 0
            misbehaviours[name] -= due
            return due

    def fails(self) -> bool:
        """Whether a request is to be answered by an error, one time less then."""
        with self.lock:
            self.failures, due = self.failures - 1, self.failures > 0
            return due


def handler_of(store: WebStore) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            data = self.answer()
            name = Path(self.path).name
            with store.lock:
                store.sent[name] += bool(data)
            if store.is_due(store.cut, name):
                data = data[: len(data) // 2]
            if store.is_due(store.spoilt, name):
                data = bytes([data[0] ^ 1]) + data[1:]
            with suppress(OSError):  # the client is gone
                for start in range(0, len(data), CHUNK_BYTES):
                    piece = data[start : start + CHUNK_BYTES]
                    self.wfile.write(piece)
                    time.sleep(len(piece) / store.bytes_per_second)

        def answer(self) -> bytes:
            """Send the headers of what is asked for, and return it."""
            path = store.folder / unquote(self.path.partition("?")[0]).lstrip("/")
            if store.fails():
                self.send_error(503)
                return b""
            if not path.is_file():
                self.send_error(404)
                return b""
            data, size = path.read_bytes(), path.stat().st_size
            asked = self.headers.get("Range")
            if asked:
                first, _, last = asked.removeprefix("bytes=").partition("-")
                end = min(int(last) + 1, size) if last else size
                data = data[int(first) : end]
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{end - 1}/{size}")
            else:
                self.send_response(200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            return data

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serve(folder: Path) -> Iterator[WebStore]:
    """Serve a folder for the block."""
    store = WebStore(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(store))
    server.daemon_threads = True
    store.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
