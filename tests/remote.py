"""What lies behind links on this machine: a web server, a link that fails."""

from __future__ import annotations

import http.server
import re
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place
from tests.s3 import S3

PIECE_BYTES = 2**14


def upload(folder: Path, target: Location) -> Location:
    """`target`, which then holds the files of a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            (target / path.relative_to(folder).as_posix()).write_bytes(
                path.read_bytes()
            )
    return target


def contents(place: Place) -> dict[str, bytes]:
    """Every file at a place, hidden ones too."""
    from alexnet.pipeline.remote.listing import list_files

    if isinstance(place, Location):
        return {key: (place / key).read_bytes() for key, _ in list_files(place)}
    files = (path for path in place.rglob("*") if path.is_file())
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in files}


class Link:
    """A TCP link to a server, which can be away, slow, or cut while bytes arrive."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        # Bytes after which connections are cut, one after the other.
        self.cuts: list[int] = []
        self.bytes_per_second: float | None = None
        # Of what has come from the server, and gone to it.
        self.num_bytes = self.num_bytes_sent = 0
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = 0
        self.up()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        """Let connections through, at the same address as before."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self._listener, self.port = listener, listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self) -> None:
        """Cut all connections and refuse new ones."""
        if self._listener:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for opened in [*self._open]:
            _close(opened)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target)
            except OSError:
                _close(client)
                continue
            self._open |= {client, server}
            for pair in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, down: bool) -> None:
        with suppress(OSError):
            while data := source.recv(PIECE_BYTES):
                if down:
                    self.num_bytes += len(data)
                    if self.cuts and self.num_bytes > self.cuts[0]:
                        del self.cuts[0]
                        break
                else:
                    self.num_bytes_sent += len(data)
                if self.bytes_per_second:
                    time.sleep(len(data) / self.bytes_per_second)
                sink.sendall(data)
        for opened in (source, sink):
            _close(opened)
            self._open.discard(opened)


def _close(opened: socket.socket) -> None:
    with suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)
    opened.close()


@contextmanager
def link_to(service: S3) -> Iterator[Link]:
    """A link to a service."""
    link = Link(service.host, service.port)
    try:
        yield link
    finally:
        link.down()


@dataclass
class WebServer:
    """A web server of a folder; `cuts` are bytes after which answers break off."""

    url: str
    # Of every request: the path, and the range that was asked for.
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)


@contextmanager
def serve_files(folder: Path, ranges: bool = True) -> Iterator[WebServer]:
    """A web server of a folder, which knows ranges or does not."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, with_body: bool) -> None:
            asked = self.headers.get("Range")
            server.requests.append((self.path, asked))
            file = folder / unquote(self.path.partition("?")[0]).lstrip("/")
            if not file.is_file():
                self.send_error(404)
                return
            data, status = file.read_bytes(), 200
            total = len(data)
            first, last = 0, total - 1
            if ranges and asked and (match := re.match(r"bytes=(\d+)-(\d*)", asked)):
                first, last = int(match[1]), min(int(match[2] or last), last)
                data, status = data[first : last + 1], 206
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{total}-{file.stat().st_mtime_ns}"')
            if ranges:
                self.send_header("Accept-Ranges", "bytes")
            if status == 206:
                self.send_header("Content-Range", f"bytes {first}-{last}/{total}")
            self.end_headers()
            if with_body:
                self.send(data)

        def send(self, data: bytes) -> None:
            if server.cuts and len(data) > server.cuts[0]:
                self.wfile.write(data[: server.cuts.pop(0)])
                self.wfile.flush()
                self.close_connection = True
            else:
                self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that has gone

    with Server(("127.0.0.1", 0), Handler) as opened:
        server = WebServer(f"http://127.0.0.1:{opened.server_port}")
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        yield server
        opened.shutdown()
