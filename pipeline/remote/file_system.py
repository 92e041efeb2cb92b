"""fsspec's file systems, opened once a process for all of its threads.

Their own retries are switched off and their time limits taken away where they come in
the way of ours: `retry` decides how long an outage may last.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from threading import Lock
from typing import Any

from alexnet.pipeline.remote.url import WEB

S3 = ("s3", "s3a")
# The package of a scheme, and the extra that brings it.
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}
EXTRAS = {"s3fs": "s3", "gcsfs": "gcs"}
# Requests at a time, of all threads together.
MOST_CONNECTIONS = 32
# For an answer to begin, and between two pieces of one.
CONNECT_SECONDS, READ_SECONDS = 15, 60


class StorageOptions(dict[str, Any]):
    """Arguments of an fsspec file system; they may be credentials, and print as none.

    Equal only to themselves, so that locations made of one another share a connection.
    """

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__

    @classmethod
    def of(cls, options: Mapping[str, Any] | None) -> StorageOptions:
        """Return options that are such already, or such ones of others."""
        if isinstance(options, StorageOptions):
            return options
        return cls(options) if options else NO_OPTIONS

    def __repr__(self) -> str:
        return "<storage options>"


NO_OPTIONS = StorageOptions()
OPENING = Lock()


def open_file_system(root: str, protocol: str, options: StorageOptions) -> Any:
    """Return a file system of our own, which keeps no listings.

    Threads that ask together get the same one: each would connect by itself.

    Args:
        root: address of a bucket or host.

    Raises:
        ImportError: the file system's package is not installed.
        ValueError: there is none for the scheme.
    """
    with OPENING:
        # By process: none uses a connection that it was forked with.
        return _opened(root, protocol, options, os.getpid())


@lru_cache(maxsize=32)
def _opened(root: str, protocol: str, options: StorageOptions, process: int) -> Any:
    from fsspec.core import url_to_fs

    merged = {**_defaults(protocol), **options}
    fs, _ = url_to_fs(root, skip_instance_cache=True, **merged)
    listings = getattr(fs, "dircache", None)
    if listings is not None:
        listings.use_listings_cache = False
    if protocol in S3:
        fs.retries = 1
    return fs


def _defaults(protocol: str) -> dict[str, Any]:
    if protocol in S3:
        return {
            "config_kwargs": {
                "retries": {"total_max_attempts": 1},
                "max_pool_connections": MOST_CONNECTIONS,
                "connect_timeout": CONNECT_SECONDS,
                "read_timeout": READ_SECONDS,
                # Of files that are asked for in ranges, to which some stores send the
                # checksum of the whole file: it would never match.
                "response_checksum_validation": "when_required",
            }
        }
    if protocol in WEB:
        from aiohttp import ClientTimeout

        # aiohttp's own limit is five minutes for a whole file.
        timeout = ClientTimeout(None, None, READ_SECONDS, CONNECT_SECONDS)
        return {"client_kwargs": {"timeout": timeout, "trust_env": True}}
    return {}


def missing_package(protocol: str) -> str:
    """Return what brings the package that a scheme needs; '' where it is there."""
    package = PACKAGES.get(protocol)
    if package is None or find_spec(package):
        return ""
    return f"it needs {package}: pip install 'alexnet[{EXTRAS[package]}]'"
