"""Answers of Beam's workers, which come back through files in a folder all can see.

Beam has no way back from a worker to the program that started the pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Generic, TypeVar

from alexnet.pipeline.beam.run import require_seen, run_on_beam

Part = TypeVar("Part")
# A part and its place among all.
Numbered = tuple[int, Part]


@dataclass(frozen=True)
class AnswerJob(Generic[Part]):
    """A question that workers answer for each part, in JSON, in a file of its own."""

    ask: Callable[[Part], Any]
    folder: Path

    @contextmanager
    def open(self) -> Iterator[Callable[[Numbered[Part]], None]]:
        """Yield what answers for a part.

        Raises:
            DataError: this worker sees no folder to answer in.
        """
        require_seen(self.folder)
        yield self._answer

    def _answer(self, numbered: Numbered[Part]) -> None:
        """Write an answer that is whole or absent, though two may be at it."""
        number, part = numbered
        text = json.dumps(self.ask(part))
        with TemporaryDirectory(dir=self.folder) as attempt:
            path = Path(attempt, f"{number}.json")
            path.write_text(text, encoding="utf-8")
            path.replace(self.folder / path.name)


def ask_workers(
    ask: Callable[[Part], Any],
    parts: Sequence[Part],
    folder: Path,
    options: Sequence[str],
    workers: int,
    answered: Callable[[Part], None] = lambda part: None,
) -> list[Any]:
    """Return what workers answer for each part: what `ask` returns there, from JSON.

    Args:
        folder: an empty one, which all workers see under this path.
        options: a Beam pipeline's; without them `workers` threads of this process
            answer.
        answered: is called with each part, when its answer is there.

    Raises:
        ConfigError: there are no such options.
        AlexnetError: a worker has raised it.
        BeamError: Beam or a worker has failed otherwise.
    """
    pending = dict(enumerate(parts))

    def look() -> None:
        for path in folder.glob("*.json"):
            if int(path.stem) in pending:
                answered(pending.pop(int(path.stem)))

    job = AnswerJob(ask, folder.absolute())
    run_on_beam(job, [*enumerate(parts)], options, workers, look)
    texts = [(folder / f"{number}.json").read_text() for number in range(len(parts))]
    return [json.loads(text) for text in texts]
