"""A record set's photos as JPEG files, for `torch_step`, which reads no records."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from alexnet.benchmarks.loaders.article import source_files, write_photos
from alexnet.benchmarks.scripts.gpu.report import run
from alexnet.pipeline.read.opened_records import open_records


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the first train photos; returns the exit code."""
    parser = ArgumentParser(
        "python -m alexnet.benchmarks.scripts.gpu.photos", description=__doc__
    )
    parser.add_argument("data", type=Path, help="a record set")
    parser.add_argument("folder", type=Path, help="where the JPEGs go")
    parser.add_argument("--count", type=int, default=10_000, help="at most")
    options = parser.parse_args(arguments)
    records = open_records(options.data)
    options.folder.mkdir(parents=True, exist_ok=True)
    written = write_photos(source_files(records, options.count), options.folder)
    print(f"{len(written)} photos in {options.folder}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
