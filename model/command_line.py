"""Settings as words of the command line, for a report and a sweep to tell and run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def option_words(settings: Mapping[str, Any]) -> list[str]:
    """Return settings as options of `alexnet fit`; None is left to its default."""
    words: list[str] = []
    for name, value in settings.items():
        option = name.removesuffix("_bytes").replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        elif isinstance(value, list | tuple):  # a list by way of JSON
            words += [f"--{option}", *value] if value else []
        elif value is not None:
            words += [f"--{option}", str(value)]
    return words
