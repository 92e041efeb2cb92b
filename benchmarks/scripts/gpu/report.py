"""A script's report: its options, the machine, a row for everything it measured.

Shared by all scripts here, with the words that their command lines have in common.
"""

from __future__ import annotations

import json
import platform
import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from alexnet.benchmarks.doctor.gpus import ask_driver
from alexnet.benchmarks.machine import read_processor
from alexnet.pipeline.config import Config, require
from alexnet.pipeline.errors import AlexnetError
from alexnet.pipeline.files import write_json

# Of a row's JSON, on the line that tells of it.
SHOWN = 400


def make_parser(name: str, doc: str | None) -> ArgumentParser:
    """The parser of a script, with the options that every one has."""
    parser = ArgumentParser(
        f"python -m alexnet.benchmarks.scripts.gpu.{name}", description=doc
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="JSON file, written anew after every row; default: stdout, at the end",
    )
    return parser


def names_of(*kinds: type[Config]) -> list[str]:
    """The settings that `kinds` have."""
    return [field.name for kind in kinds for field in fields(kind)]


def add_settings(parser: ArgumentParser, known: Sequence[str]) -> None:
    """Add `--set NAME=VALUE ...` for the settings that are `known`."""
    parser.set_defaults(known=known)
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help=f"settings other than the defaults: {', '.join(known)}",
    )


def read_settings(words: Sequence[str], known: Sequence[str]) -> dict[str, Any]:
    """`["width=0.5", "augment=none"]` as a dictionary; values are JSON, or words.

    Raises:
        ConfigError: a name is unknown.
    """
    pairs = [word.partition("=") for word in words]
    for name, _, _ in pairs:
        require(name in known, "--set", name, "one of " + ", ".join(known))
    return {name: _value(text) for name, _, text in pairs}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


class Report:
    """Rows as they come; what was measured before a script is ended is kept."""

    def __init__(self, options: Namespace) -> None:
        self._out: Path | None = options.out
        self.rows: list[dict[str, Any]] = []
        self._values = {
            "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            "machine": describe_machine(),
            "rows": self.rows,
        }

    def add(self, row: dict[str, Any]) -> None:
        """Take a row, and tell of it on stderr."""
        self.rows.append(row)
        print(json.dumps(row)[:SHOWN], file=sys.stderr, flush=True)
        if self._out:
            write_json(self._out, self._values)

    def finish(self) -> int:
        """Print the report unless it is in a file; 1 where a row holds an error.

        Memory that ran out is a result.
        """
        if not self._out:
            print(json.dumps(self._values, indent=2))
        return int(any("error" in r and not r["out_of_memory"] for r in self.rows))


def describe_machine() -> dict[str, Any]:
    """GPUs and driver as NVML tells of them, processor, versions."""
    driver, processor = ask_driver(), read_processor()
    return {
        "driver": driver if isinstance(driver, str) else asdict(driver),
        "processor": processor.model,
        "num_cpus": processor.usable_cpus,
        "python": platform.python_version(),
        "tensorflow": version("tensorflow"),
    }


def run(main: Callable[[], int]) -> int:
    """The exit code of a script; what a user can mend is told in a line."""
    try:
        return main()
    except AlexnetError as error:
        print(error, file=sys.stderr)
        return 1
