"""Errors that a user can cause. The command line prints them without a traceback.

A message says what there is, what is needed and what to do next.
"""

from __future__ import annotations

import re


class AlexnetError(Exception):
    """A user can cause and mend it; the command exits with 1."""


class ConfigError(AlexnetError):
    """A setting is out of range, unknown, or does not fit another one."""


class DataError(AlexnetError):
    """A source, a record set or an image file is not what it should be."""


class ReadError(DataError):
    """A file cannot be read, for a reason that lies outside of it and may pass."""


class RemoteError(ReadError):
    """A store or a network fails for long, or gives other bytes than it was given."""


class BeamError(DataError):
    """An Apache Beam runner, or the program of one of its workers, has failed."""


class RunError(AlexnetError):
    """A run folder or a training run is not what it should be."""


class BadImage(Exception):
    """An image file that cannot be used; the message is the reason."""


def data_error_in(error: Exception) -> DataError | None:
    """Return the error of a function inside tf.data, whose text TensorFlow keeps."""
    found = re.search(
        r"(?:Data|Read|Remote)Error: (.*?)\nTraceback \(most recent",
        str(error),
        flags=re.DOTALL,
    )
    return DataError(found.group(1)) if found else None
