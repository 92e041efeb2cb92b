"""Loaders of the field, each run by a script in an environment of its own.

`make loaders` sets the environments up, so that their pins need not agree with ours. A
script (benchmarks/loaders/scripts) is given the record set's photos as JPEG files and
prints how many images each of its batches holds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import weakref
from functools import cached_property
from pathlib import Path
from typing import IO

from alexnet.benchmarks.loaders.article import source_files, write_photos
from alexnet.benchmarks.measure import Deliveries, Timing
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.read.opened_records import OpenedRecords
from alexnet.pipeline.setting import require

# Each loader's environment, whose script is `<environment>_loader.py`.
ENVIRONMENTS = {
    "torch-pillow": "torch",
    "torch-simplejpeg": "torch",
    "ffcv-jpeg": "ffcv",
    "ffcv-same-jpeg": "ffcv",
    "ffcv-raw": "ffcv",
    "dali": "dali",
    "grain": "grain",
    "mosaic": "mosaic",
}
SCRIPTS = Path(__file__).parent / "scripts"
# Where setup.sh makes them, unless the variable names another folder.
FOLDER, VARIABLE = SCRIPTS.resolve().parents[2] / ".loaders", "ALEXNET_LOADERS"
# Photos that are written out: 0.8 GB once they are raw pixels of 256 px.
MAX_PHOTOS = 4096
# A script ends by itself at the next batch that nobody takes; its workers take a while.
END_SECONDS = 5.0
# The end of what a script wrote to stderr, where a traceback says what went wrong.
REASON_LINES, REASON_BYTES = 3, 4096


def plan_script(name: str, records: OpenedRecords, batch_size: int) -> Timing:
    """The timing of a loader on a record set's train photos, in whole batches.

    Raises:
        ConfigError: its environment is not set up, or the photos make no such batch.
    """
    require_environment(name)
    if not records.storage.is_square:
        raise ConfigError(
            f"the photos are stored as `original`, in sizes of their own; {name} is"
            " timed on squares: build records of another `storage`"
        )
    count = min(MAX_PHOTOS, records.manifest.split("train").num_examples)
    needs = f"at most {count} for {name}"
    require(batch_size <= count, "batch_size", batch_size, needs)
    files = PhotoFiles(records)

    def start() -> Deliveries:
        return run_script(name, script_command(name, files, batch_size))

    return Timing(name, start)


def script_command(name: str, photos: PhotoFiles, batch_size: int) -> list[str]:
    """Return a loader's command, which prints the number of images in each batch.

    Raises:
        ConfigError: its environment is not set up.
    """
    python = require_environment(name)
    script = SCRIPTS / f"{ENVIRONMENTS[name]}_loader.py"
    # -E: a PYTHONPATH of ours would lead into another environment.
    command = [*(python, "-E", script, photos.folder), *("--loader", name)]
    sizes = {"side": photos.side, "batch-size": batch_size, "workers": num_cpus()}
    options = (f"--{option}={value}" for option, value in sizes.items())
    return [*map(str, command), *options]


def require_environment(name: str) -> Path:
    """The Python of a loader's environment.

    Raises:
        ConfigError: the environment is not set up.
    """
    folder = Path(os.environ.get(VARIABLE) or FOLDER)
    environment = folder / ENVIRONMENTS[name]
    # Written last, when everything is installed.
    if not (environment / ".installed").is_file():
        raise ConfigError(
            f"the loader {name} needs its environment {environment}, which is not set"
            f" up: `make loaders` does it ({VARIABLE} names another folder than"
            f" {folder})"
        )
    return environment / "bin" / "python"


class PhotoFiles:
    """A record set's first train photos as JPEG files, for as long as this lives."""

    def __init__(self, records: OpenedRecords) -> None:
        self._records = records

    @property
    def side(self) -> int:
        """The side of the squares that they are, in pixels."""
        return self._records.manifest.config.side

    @cached_property
    def folder(self) -> Path:
        """The folder they are in; written at the first call."""
        folder = Path(tempfile.mkdtemp(prefix="alexnet-loader-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        write_photos(source_files(self._records, MAX_PHOTOS), folder)
        return folder


def run_script(name: str, command: list[str]) -> Deliveries:
    """Yield the numbers that a command prints, line by line; ends it when closed.

    Raises:
        ConfigError: the command ended by itself.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            # A group of its own, which can be ended with all its workers.
            start_new_session=True,
        )
        try:
            for line in process.stdout or ():
                yield int(line)
        finally:
            _end(process)
        raise ConfigError(
            f"the loader {name} ended with exit code {process.returncode}:"
            f" {last_lines(errors)}; to set its environment up anew, remove"
            f" {Path(command[0]).parent.parent} and run `make loaders`"
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let a process and its workers end by themselves, then kill what is left."""
    if process.stdout:
        process.stdout.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_lines(errors: IO[bytes]) -> str:
    """The end of what a process wrote to a file, in one line."""
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - REASON_BYTES))
    lines = errors.read().decode(errors="replace").split("\n")
    return " / ".join([line.strip() for line in lines if line.strip()][-REASON_LINES:])
