"""What a run folder holds comes back as it was, or is refused by name."""

from __future__ import annotations

import copy
import csv
import json
import os
import random
import resource
import shlex
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.model.training.history import EpochRecord
from alexnet.model.training.plan import describe_data
from alexnet.model.training.run import RunFolder, dated, new_folder
from alexnet.model.training.run_config import InitialWeights, RunConfig
from alexnet.model.training.same_run import require_same_settings
from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.config import AugmentConfig
from alexnet.pipeline.errors import RunError
from alexnet.pipeline.read.opened_records import open_records
from alexnet.pipeline.versions import versions

CONFIG = RunConfig(
    data="/data/records",
    class_names=("cat", "dog"),
    records_fingerprint="abc",
    storage="jpeg",
    stored_side=256,
    resize="crop",
    network=NetworkConfig(variant="bn", width=0.5),
    augment=preset("modern"),
    train=TrainConfig(epochs=3, learning_rate=1 / 3, xla=False),
    reader_reason="it was asked for",
    initial=InitialWeights("0123abcd", ("dense8",)),
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
    assert set(saved["versions"]) == versions().keys()


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


def test_what_cannot_be_written_is_told_and_kept(run: RunFolder) -> None:
    run.save_config(CONFIG)
    run.save_history([FIRST])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(RunError, match=r"history\.csv cannot be written: File too"):
            run.save_history([FIRST, SECOND])
        with pytest.raises(RunError, match=r"config\.json cannot be written: File too"):
            run.save_config(replace(CONFIG, data="/elsewhere"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert run.load_config() == CONFIG
    assert run.load_history() == [FIRST]
    names = {path.name for path in run.path.iterdir()}
    assert names == {"config.json", "history.csv"}


def test_a_place_where_no_folder_can_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    run = RunFolder(tmp_path / "letter.txt" / "run")
    with pytest.raises(RunError, match=r"config\.json cannot .* another `run`"):
        run.save_config(CONFIG)


def test_the_command_that_goes_on_can_be_copied() -> None:
    command = RunFolder(Path("my runs/a b")).resume_command
    words = ["alexnet", "fit", "--run", "my runs/a b", "--resume"]
    assert shlex.split(command) == words


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"format": 1', '"format": 9', "format 9, this version reads 1"),
        ('"stored_side"', '"stored"', "stored_side"),
        ('"variant": "bn"', '"variant": "vgg"', "variant is 'vgg'"),
        ('"dropout"', '"drop"', "unknown NetworkConfig settings: drop"),
        ('"epochs": 3', '"epochs": "3"', "epochs is '3'; it needs a whole number"),
        ('"image_size": 227', '"image_size": 300', "the records' 256 px or less"),
        ('"num_classes": 2', '"num_classes": 3', "it needs 3 names"),
        ('"/data/records"', '"a\\u0000b"', "it needs a path"),
        ('"/data/records"', '"\\ud800"', "it needs a path"),
        ('"stored_side": 256', '"stored_side": 9999', "side is 9999"),
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


JUNK: tuple[Any, ...] = (
    *(None, True, -1, 0, 10**30, 1.5, 1e308, float("nan"), float("inf"), "", "x"),
    *([], [[]], {}, {"a": 1}, [1, "2", None], "\0", "\ud800", "9" * 5000),
)


def mutated(value: Any, rng: random.Random) -> Any:
    """A JSON value with one place in it replaced by something else, or taken away."""
    if rng.random() < 0.2 or not isinstance(value, dict | list) or not value:
        return rng.choice(JUNK)
    made = copy.copy(value)
    places = range(len(value)) if isinstance(value, list) else [*value]
    place = rng.choice(places)
    if rng.random() < 0.1:
        del made[place]
    else:
        made[place] = mutated(value[place], rng)
    return made


KINDS = {
    **{"str": (str,), "int": (int,), "float": (float, int), "bool": (bool,)},
    **{"int | None": (int, type(None)), "bool | None": (bool, type(None))},
    "float | None": (float, int, type(None)),
    **dict.fromkeys(("tuple[float, float]", "tuple[float, float, float]"), (tuple,)),
    "tuple[str, ...]": (tuple,),
    "str | None": (str, type(None)),
    **dict.fromkeys(
        ("StorageName", "Resize", "Variant", "OptimizerName", "Preset", "ClassWeights"),
        (str,),
    ),
    **dict.fromkeys(
        ("Schedule", "Loss", "StrategyName", "Reader", "Decode", "Geometry"), (str,)
    ),
    "InitialWeights | None": (InitialWeights, type(None)),
    **{kind.__name__: (kind,) for kind in (NetworkConfig, AugmentConfig, TrainConfig)},
}


def test_no_settings_of_other_kinds_get_through(run: RunFolder) -> None:
    """What is loaded is what was meant, or an error that names the file."""
    run.save_config(CONFIG)
    whole = json.loads(run.config_path.read_text("utf-8"))
    rng = random.Random(7)
    refused = 0
    for _ in range(500):
        text = json.dumps(mutated(whole, rng))
        run.config_path.write_text(text, "utf-8")
        try:
            config = run.load_config()
        except RunError as error:
            refused += 1
            assert str(run.config_path) in str(error)
            continue
        for part in (config, config.network, config.augment, config.train):
            for field in fields(part):
                value = getattr(part, field.name)
                assert type(value) in KINDS[str(field.type)], field.name
    assert 300 < refused < 500


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "9" * 10_000, "", "null", '"x"', "[1]"]
)
def test_json_that_is_no_object_of_settings_is_named(run: RunFolder, text: str) -> None:
    run.path.mkdir(parents=True)
    run.config_path.write_text(text)
    with pytest.raises(RunError, match=r"config\.json is damaged"):
        run.load_config()


def test_epochs_may_grow_patience_change_and_records_move(run: RunFolder) -> None:
    longer = replace(CONFIG.train, epochs=5, patience=2)
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


EIGHT_RUNS = """
from pathlib import Path
from alexnet.model.training.run import dated, new_folder
for _ in range(8):
    with new_folder(dated(Path("runs"))) as path:
        (path / "config.json").touch()
    print(path)
"""


def test_runs_that_begin_in_one_second_do_not_meet(tmp_path: Path) -> None:
    """Four processes with eight each: 32 folders, and numbers without a gap."""
    root = str(Path(__file__).parents[3])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", EIGHT_RUNS],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": root},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    printed = "".join(process.communicate(timeout=300)[0] for process in processes)
    made = [Path(line) for line in printed.splitlines()]
    assert len(set(made)) == 32
    assert {path.parent for path in made} == {Path("runs")}
    seconds = {path.name[:17] for path in made}
    for second in seconds:
        names = {path.name for path in made if path.name.startswith(second)}
        numbers = range(2, len(names) + 1)
        assert names == {second, *(f"{second}-{number}" for number in numbers)}


def test_a_run_that_never_began_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError), new_folder(dated(Path("runs"))) as path:
        assert path.is_dir()
        raise RunError("the records are gone")
    assert not list(tmp_path.iterdir())


def test_a_run_is_trained_by_one_process_at_a_time(run: RunFolder) -> None:
    with run.sole_training():
        with (
            pytest.raises(RunError, match="another process is training in") as error,
            run.sole_training(),
        ):
            pass
        assert str(run.path) in str(error.value)
        assert "at this moment. Wait" in str(error.value)
    assert not run.path.parent.exists()  # it was made for the lock alone
    with run.sole_training():
        run.save_config(CONFIG)
    assert [path.name for path in run.path.iterdir()] == ["config.json"]


def test_the_records_own_settings(train_records: Path) -> None:
    manifest = open_records(train_records).manifest
    described = describe_data(train_records, manifest)
    assert described["class_names"] == ("cat", "dog")
    assert (described["storage"], described["stored_side"]) == ("raw", 72)
    assert Path(described["data"]).is_absolute()
