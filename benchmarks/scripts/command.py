"""Measurements by another environment's command: the JSON that it prints."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from alexnet.pipeline.errors import ConfigError


def read_json(command: Sequence[str]) -> dict[str, Any]:
    """Return the object that a command prints.

    Raises:
        ConfigError: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ConfigError(f"{' '.join(command)} failed: {done.stderr.strip()[-2000:]}")
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed
