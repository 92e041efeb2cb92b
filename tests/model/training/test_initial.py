"""Runs that start from weights: which, at which rate, and what stays as it was."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from alexnet.model.config import TrainConfig
from alexnet.model.network.named_weights import Arrays, fingerprint, named_arrays
from alexnet.model.results.evaluation import evaluate, load_classifier
from alexnet.model.results.export import export
from alexnet.model.training.fit import fit
from alexnet.model.training.optimizers import make_optimizer
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import AlexnetError
from alexnet.pipeline.source.scan import scan
from tests.conftest import BATCH, TINY_RUN, TRAIN_SIDE, smooth_photo
from tests.model import processes
from tests.model.runs import require_same


@pytest.fixture(scope="module")
def other_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, 24 examples to train on and 6 held out."""
    folder = tmp_path_factory.mktemp("other")
    (folder / "photos").mkdir()
    for number in range(30):
        photo = smooth_photo(number, TRAIN_SIDE, TRAIN_SIDE)
        name = ("bird", "cat", "dog")[number % 3]
        photo.save(folder / "photos" / f"{name}.{number}.png")
    config = BuildConfig(
        storage="raw", side=TRAIN_SIDE, shards=1, validation_fraction=0.2
    )
    build(scan(folder / "photos"), folder / "records", config, workers=1)
    return folder / "records"


def weights_of(run: str | Path | RunFolder, which: str = "last") -> Arrays:
    return named_arrays(load_classifier(RunFolder(Path(run)), which)[0].network)


@pytest.mark.slow
def test_without_an_epoch_a_run_holds_the_weights_that_it_was_given(
    trained_run: RunFolder, train_records: Path, tmp_path: Path
) -> None:
    report = fit(
        train_records,
        run=tmp_path / "run",
        init_from=trained_run,
        epochs=0,
        batch_size=BATCH,
    )
    best = weights_of(trained_run, "best")
    for name, array in weights_of(report.run).items():
        np.testing.assert_array_equal(array, best[name], err_msg=name)
    config = RunFolder(report.run).load_config()
    # Its network and its normalisation, of which nothing was said.
    assert config.network == trained_run.load_config().network
    assert config.train.init_from == str(trained_run.path)
    assert config.initial is not None
    assert config.initial.fingerprint == fingerprint(best)
    assert config.initial.fresh_layers == ()
    assert evaluate(report.run).scores.loss == pytest.approx(
        evaluate(trained_run).scores.loss, rel=1e-6
    )
    values = report.to_json()
    assert (values["epochs"], values["step"], values["train"]) == (0, 0, None)
    fit(run=report.run, resume=True, epochs=1)
    assert len(RunFolder(report.run).load_history()) == 1


@pytest.mark.slow
def test_frozen_layers_keep_their_weights_and_the_head_is_replaced(
    trained_run: RunFolder, other_records: Path, tmp_path: Path
) -> None:
    """Trained in two parts as in one, the second without the source."""
    source = shutil.copytree(trained_run, tmp_path / "source")
    options: dict[str, Any] = {"init_from": source, "freeze": ["conv1", "conv2"]}
    options |= {"batch_size": BATCH, "decay_epochs": 2, "learning_rate": 0.05}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    fit(other_records, run=whole, epochs=2, **options)
    fit(other_records, run=parts, epochs=1, **options)
    shutil.rmtree(source)
    fit(run=parts, resume=True, epochs=2)
    require_same(RunFolder(parts), RunFolder(whole))
    before, after = weights_of(trained_run, "best"), weights_of(whole)
    assert after["dense8/kernel"].shape[-1] == 3
    for name in before.keys() - {"dense8/kernel", "dense8/bias"}:
        is_same = (before[name] == after[name]).all()
        assert is_same == name.startswith(("conv1/", "conv2/")), name
    config = RunFolder(whole).load_config()
    assert config.initial is not None and config.initial.fresh_layers == ("dense8",)
    assert config.train.freeze == ("conv1", "conv2")


def test_what_is_kept_learns_more_slowly() -> None:
    """w - rate x scale x (g + decay x w), as SGD and its decay have it."""
    config = TrainConfig(
        optimizer="sgd", schedule="constant", learning_rate=0.5, weight_decay=0.2
    )
    weights = [tf.Variable([[2.0]]), tf.Variable([[2.0]])]
    optimizer = make_optimizer(config, 1, weights, [1.0, 0.1])
    optimizer.apply([tf.constant([[1.0]])] * 2, 0)
    moved = [2 * (1 - 0.5 * s * 0.2) - 0.5 * s for s in (1.0, 0.1)]
    np.testing.assert_allclose([float(w[0, 0]) for w in weights], moved, rtol=1e-6)


@pytest.mark.slow
def test_the_kept_rate_is_that_of_all_but_the_head(
    trained_run: RunFolder, other_records: Path, tmp_path: Path
) -> None:
    """At a rate of nothing only the head moves, and the moments of batch norm."""
    options: dict[str, Any] = {"init_from": trained_run, "batch_size": BATCH}
    fit(other_records, run=tmp_path / "run", kept_rate=0.0, epochs=1, **options)
    before, after = weights_of(trained_run, "best"), weights_of(tmp_path / "run")
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert {"dense8/kernel", "dense8/bias"} <= changed
    assert all("moving_" in name for name in changed if "dense8" not in name)


@pytest.mark.slow
def test_an_exported_file_is_a_start_as_the_run_itself(
    trained_run: RunFolder, train_records: Path, tmp_path: Path
) -> None:
    path = tmp_path / "network.keras"
    export(trained_run, path, format="keras")
    settings = {**TINY_RUN, "epochs": 0, "init_from": path}
    report = fit(train_records, run=tmp_path / "run", **settings)
    config = RunFolder(report.run).load_config()
    assert config.initial is not None
    assert config.initial.fingerprint == fingerprint(weights_of(trained_run, "best"))


def fit_on_replicas(source: Path, records: Path, run: Path) -> None:
    """Two replicas, in a process whose CPU can still be split."""
    options: dict[str, Any] = {
        "strategy": "mirrored",
        "logical_cpus": 2,
        "batch_size": BATCH,
    }
    fit(records, run=run, init_from=source, epochs=0, freeze=("conv1",), **options)
    fit(run=run, resume=True, epochs=1)


@pytest.mark.slow
def test_every_replica_starts_from_them(
    trained_run: RunFolder, train_records: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    processes.call(fit_on_replicas, trained_run.path, train_records, run)
    before, after = weights_of(trained_run, "best"), weights_of(run)
    np.testing.assert_array_equal(before["conv1/kernel"], after["conv1/kernel"])
    assert (before["conv3/kernel"] != after["conv3/kernel"]).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"init_from": "gone"}, "no such file or folder: .*gone. It needs the folder"),
        ({"init_from": "."}, "no run in this folder"),
        ({"init_from": "a.npz"}, "conv1/kernel is missing there and 11x11x3x12 here"),
        ({"init_from": "a.txt"}, "no weights that are known by its ending"),
        (
            {"freeze": "conv9"},
            "no layer 'conv9' with weights; the nearest name is conv",
        ),
        ({"epochs": 0}, "epochs is 0; it needs 1 to 1,000,000, or `init_from`"),
        ({"kept_rate": -1}, "kept_rate is -1; it needs 0 to 1,000"),
    ],
)
def test_a_start_that_does_not_fit_leaves_the_run_that_was_there(
    trained_run: RunFolder,
    train_records: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", weights=np.zeros(3))
    Path("a.txt").touch()
    run = RunFolder(shutil.copytree(trained_run, tmp_path / "run"))
    variant = {**TINY_RUN, "width": 1 / 8}
    with pytest.raises(AlexnetError, match=message):
        fit(train_records, run=run, overwrite=True, **{**variant, **settings})
    require_same(run, trained_run)
