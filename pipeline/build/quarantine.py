"""The list of image files that a build set aside, and why: `quarantine.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Iterable

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.remote.place import Place, put_text
from alexnet.pipeline.source.scan import Quarantined

QUARANTINE = "quarantine.jsonl"


def read_quarantine(out: Place) -> tuple[Quarantined, ...]:
    """Return the image files that the build of `out` set aside, sorted by key.

    There are none where the list is gone: the set is whole without it.

    Raises:
        DataError: the list is damaged.
    """
    try:
        lines = (out / QUARANTINE).read_text(encoding="utf-8").splitlines()
        return tuple(_from_line(line) for line in lines)
    except FileNotFoundError:
        return ()
    except (RecursionError, TypeError, ValueError) as error:
        raise DataError(
            f"{out / QUARANTINE} is damaged: {error}. Put it back, or empty it: it only"
            " lists what was set aside."
        ) from error


def _from_line(line: str) -> Quarantined:
    bad = Quarantined(**json.loads(line))
    if not isinstance(bad.key, str) or not isinstance(bad.reason, str):
        raise ValueError(f"no file and reason: {line}")
    return bad


def save_quarantine(out: Place, bad: Iterable[Quarantined]) -> None:
    """Write the image files that the build of `out` set aside, an object a line."""
    lines = "".join(json.dumps(item._asdict()) + "\n" for item in bad)
    put_text(out / QUARANTINE, lines)
