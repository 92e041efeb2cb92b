"""What a run folder holds comes back as it was, or is refused by name."""

from __future__ import annotations

import csv
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from model.config import NetworkConfig, TrainConfig
from model.run import (
    EpochRecord,
    RunConfig,
    RunFolder,
    describe_data,
    new_run_path,
    require_same_settings,
)
from pipeline.errors import RunError
from pipeline.presets import preset
from pipeline.reader import open_records

CONFIG = RunConfig(
    data="/data/records",
    class_names=("cat", "dog"),
    records_fingerprint="abc",
    storage="jpeg",
    stored_side=256,
    fit="crop",
    network=NetworkConfig("bn", width=0.5),
    augment=preset("modern"),
    train=TrainConfig(epochs=3, learning_rate=1 / 3, xla=False),
)
FIRST = EpochRecord(1, 10, 0.1 + 0.2, 1 / 3, 0.5, None, None, 1e3, 0.25, 1.5)
SECOND = EpochRecord(2, 20, 1e-7, 2 / 3, 0.75, 0.1, 1.0, 2e3, 0.0, 0.75)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "deep" / "run")


def test_settings_round_trip_with_the_versions(run: RunFolder) -> None:
    assert not run.exists()
    run.save_config(CONFIG)
    assert run.exists()
    assert run.load_config() == CONFIG
    saved = json.loads(run.config_path.read_text("utf-8"))
    assert set(saved["versions"]) == {"alexnet", "tensorflow", "numpy", "python"}


def test_history_round_trip(run: RunFolder) -> None:
    run.path.mkdir(parents=True)
    assert run.load_history() == []
    run.save_history([FIRST, SECOND])
    assert run.load_history() == [FIRST, SECOND]
    with run.history_path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == [field.name for field in fields(EpochRecord)]
    assert rows[0][:2] == ["1", "10"]
    assert rows[0][5:7] == ["", ""]


def test_history_is_whole_or_as_before(run: RunFolder) -> None:
    run.path.mkdir(parents=True)
    run.save_history([FIRST])
    with pytest.raises(TypeError):
        run.save_history([SECOND, None])  # type: ignore[list-item]
    assert run.load_history() == [FIRST]
    assert [path.name for path in run.path.iterdir()] == ["history.csv"]


def test_a_missing_run_is_named(run: RunFolder) -> None:
    with pytest.raises(
        RunError, match=r"no such folder: .*run\. Expected .*config\.json"
    ):
        run.load_config()
    run.path.mkdir(parents=True)
    with pytest.raises(RunError, match="no run in this folder"):
        run.load_config()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"format": 1', '"format": 9', "format 9, this version reads 1"),
        ('"stored_side"', '"stored"', "stored_side"),
        ('"variant": "bn"', '"variant": "vgg"', "variant is 'vgg'"),
        ('"dropout"', '"drop"', "unknown NetworkConfig settings: drop"),
        ("{", "", "damaged"),
    ],
)
def test_damaged_settings_are_named(
    run: RunFolder, old: str, new: str, reason: str
) -> None:
    run.save_config(CONFIG)
    text = run.config_path.read_text("utf-8")
    assert old in text
    run.config_path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(RunError, match="damaged or of another version") as error:
        run.load_config()
    assert reason in str(error.value)
    assert str(run.config_path) in str(error.value)


def test_only_epochs_may_grow_and_records_may_move(run: RunFolder) -> None:
    longer = replace(CONFIG.train, epochs=5)
    require_same_settings(run, CONFIG, CONFIG)
    require_same_settings(run, CONFIG, replace(CONFIG, data="/new", train=longer))


def test_every_other_difference_is_listed(run: RunFolder) -> None:
    new = replace(
        CONFIG,
        records_fingerprint="xyz",
        network=replace(CONFIG.network, dropout=0.25),
        train=replace(CONFIG.train, epochs=2, seed=4),
    )
    with pytest.raises(RunError) as error:
        require_same_settings(run, CONFIG, new)
    for difference in (
        "records_fingerprint abc -> xyz",
        "dropout 0.5 -> 0.25",
        "seed 21 -> 4",
        "epochs 3 -> 2",
    ):
        assert difference in str(error.value)
    assert str(error.value).count("->") == 4


def test_new_runs_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = []
    for _ in range(3):
        made.append(new_run_path())
        made[-1].mkdir(parents=True)
    assert len(set(made)) == 3
    assert {path.parent for path in made} == {Path("runs")}


def test_the_records_own_settings(train_records: Path) -> None:
    manifest = open_records(train_records).manifest
    described = describe_data(train_records, manifest)
    assert described["class_names"] == ("cat", "dog")
    assert (described["storage"], described["stored_side"]) == ("raw", 72)
    assert Path(described["data"]).is_absolute()
