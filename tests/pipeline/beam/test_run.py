"""Jobs on Beam's own runner: every part is done once, and errors are told as ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.pipeline.beam import run
from alexnet.pipeline.beam.answers import AnswerJob, ask_workers
from alexnet.pipeline.beam.run import run_on_beam
from alexnet.pipeline.errors import AlexnetError, BeamError, DataError, ReadError
from tests.pipeline.beam.jobs import FailingJob, NotingJob, describe

HERE = ("--direct_running_mode=in_memory",)


def test_a_worker_is_prepared_once_for_many_parts(tmp_path: Path) -> None:
    looks: list[int] = []
    parts = [f"{number}" for number in range(20)]
    run_on_beam(NotingJob(tmp_path), parts, HERE, 1, lambda: looks.append(1))
    made = {path.name for path in tmp_path.iterdir()}
    assert {name for name in made if name.startswith("part")} == {
        f"part {part}" for part in parts
    }
    opened = {name.split()[1] for name in made if name.startswith("opened")}
    assert opened == {name.split()[1] for name in made if name.startswith("closed")}
    assert len(opened) < len(parts)
    assert looks  # at the end


@pytest.mark.parametrize(
    ("part", "kind", "message"),
    [
        ("read", ReadError, "cat.jpg cannot be read: it is gone. Look after it."),
        ("data", DataError, "side is odd; give an even one"),
        (
            "full",
            BeamError,
            "Apache Beam failed: OSError: [Errno 28] No space left on device:"
            " '/shared/x'.",
        ),
        ("lines", BeamError, "Apache Beam failed: last line."),
    ],
)
@pytest.mark.parametrize("options", [HERE, ()], ids=["in memory", "threads"])
def test_what_a_worker_raises_is_told(
    part: str, kind: type[AlexnetError], message: str, options: tuple[str, ...]
) -> None:
    with pytest.raises(kind) as error:
        run_on_beam(FailingJob(), [part], options, 1, lambda: None)
    assert type(error.value) is kind
    assert str(error.value) == message


def test_it_is_looked_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "LOOK_SECONDS", 0.001)
    looks: list[int] = []
    run_on_beam(NotingJob(tmp_path), ["a"], HERE, 1, lambda: looks.append(1))
    assert len(looks) > 1


def test_answers_come_in_the_order_of_the_parts(tmp_path: Path) -> None:
    parts = [f"{'x' * (number % 5)}{number}" for number in range(12)]
    told: list[str] = []
    answers = ask_workers(describe, parts, tmp_path, (), 2, told.append)
    assert [answer["length"] for answer in answers] == [len(part) for part in parts]
    assert sorted(told) == sorted(parts)


@pytest.mark.slow
def test_answers_of_other_processes(tmp_path: Path) -> None:
    options = ("--direct_running_mode=multi_processing",)
    (answer,) = ask_workers(describe, ["a"], tmp_path, options, 1)
    (here,) = ask_workers(describe, ["a"], tmp_path, HERE, 1)
    assert answer["process"] != here["process"]


def test_a_worker_that_does_not_share_the_folder_says_so(tmp_path: Path) -> None:
    job = AnswerJob(describe, tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"a worker on \S+ sees no .*elsewhere\. "):
        run_on_beam(job, [(0, "a")], HERE, 1, lambda: None)
