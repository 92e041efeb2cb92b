"""What a user can cause. The command line prints these without a traceback.

A message says what was found, what is needed and what to do next.
"""

from __future__ import annotations

import re


class AlexnetError(Exception):
    """Anything a user can cause and mend; the command exits with 1."""


class ConfigError(AlexnetError):
    """A setting is out of range, unknown, or does not fit another one."""


class DataError(AlexnetError):
    """A source, a record set or an image file is not what it should be."""


class RunError(AlexnetError):
    """A run folder or a training run is not what it should be."""


class BadImage(Exception):
    """An image file that cannot be used; the message is the reason."""


def data_error_in(error: Exception) -> DataError | None:
    """What a function inside tf.data raised, of which TensorFlow keeps the text."""
    found = re.search(
        r"DataError: (.*?)\nTraceback \(most recent", str(error), flags=re.DOTALL
    )
    return DataError(found.group(1)) if found else None
