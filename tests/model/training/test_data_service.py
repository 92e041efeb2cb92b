"""Training through a data service is training without one, to the last bit."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from alexnet.model.results.evaluation import evaluate
from alexnet.model.training.fit import fit
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.errors import ConfigError, ReadError
from alexnet.pipeline.service import address
from tests.conftest import TINY_RUN
from tests.model.runs import require_same
from tests.pipeline.service.hosts import in_process_service


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dispatcher that is not there is not waited for."""
    monkeypatch.setattr(address, "WAIT_SECONDS", 0)


@pytest.mark.slow
def test_a_run_is_the_same_run_with_and_without_a_service(
    train_records: Path, trained_run: RunFolder, tmp_path: Path
) -> None:
    """Its second epoch goes on without the service, and could as well with another."""
    settings = {**TINY_RUN, "decay_epochs": TINY_RUN["epochs"]}
    run = tmp_path / "run"
    with in_process_service() as served:
        begun = {**settings, "epochs": 1}
        fit(train_records, run=run, **begun, data_service=served)
        without = tmp_path / "without"
        fit(train_records, run=without, **settings)
        fit(run=run, resume=True, epochs=settings["epochs"])
        require_same(RunFolder(run), RunFolder(without))
        ours = evaluate(trained_run, split="all", batch_size=7, data_service=served)
        theirs = evaluate(trained_run, split="all", batch_size=7)
        assert ours.to_json() == theirs.to_json()


def test_what_a_service_cannot_do_is_said_before_anything_is_written(
    train_records: Path, trained_run: RunFolder, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        served = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(
            ReadError, match=f"no dispatcher of a data service at {served}"
        ):
            fit(train_records, run=run, **TINY_RUN, data_service=served)
        with pytest.raises(ReadError, match="no dispatcher"):
            evaluate(trained_run, data_service=served)
    with pytest.raises(ConfigError, match="it needs HOST:PORT"):
        fit(train_records, run=run, **TINY_RUN, data_service="5050")
    with pytest.raises(ConfigError, match="goes through one shard after the other"):
        fit(train_records, run=run, **TINY_RUN, reader="stream", data_service=served)
    assert not run.exists()
