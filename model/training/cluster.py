"""The cluster that a process trains in, as TF_CONFIG in its environment has it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.files import name_some

# A TF_CONFIG.
EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]},'
    ' "task": {"type": "worker", "index": 0}}'
)


@dataclass(frozen=True)
class Cluster:
    """Addresses by job, and the task of this process; both empty where it is alone."""

    jobs: dict[str, Any]
    task: dict[str, Any]

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run: the chief, or else worker 0."""
        first = self.task.get("type") == "worker" and self.task.get("index") == 0
        return self.task.get("type") == "chief" or ("chief" not in self.jobs and first)

    def describe(self) -> str:
        """Say for people which worker this is: 'worker 0 of host1:2222, host2:2222'."""
        addresses = [str(address) for job in self.jobs.values() for address in job]
        task = f"{self.task.get('type')} {self.task.get('index')}"
        return f"{task} of {name_some(addresses)}"


def find_cluster() -> Cluster:
    """Return the cluster that TF_CONFIG describes.

    Raises:
        ConfigError: it is no JSON, or JSON of another form.
    """
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        values = json.loads(text)
        return Cluster(*(dict(values.get(name, {})) for name in ("cluster", "task")))
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"TF_CONFIG in the environment is {text!r}; it needs {EXAMPLE}, or nothing"
        ) from error
