"""`alexnet fit` and what one does with a run, on a tiny network and 24 photos."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from alexnet.cli.fit_messages import FitProgress
from alexnet.model.training import training
from alexnet.model.training.loop import TrainingLoop
from alexnet.model.training.run import RunFolder
from tests.cli.conftest import (
    IMAGE_SIZE,
    SMALL,
    STORED_SIDE,
    alexnet,
    alexnet_json,
    failure,
)
from tests.conftest import slow

Built = tuple[Path, dict[str, Any]]
Trained = tuple[Path, dict[str, Any]]


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training that fails the test: what is wrong must be told before it starts."""
    monkeypatch.setattr(
        training, "train", lambda *_: pytest.fail("training has started")
    )


def epochs_done(run: Path) -> list[dict[str, str]]:
    """The lines of a run's history; none before its first epoch has ended."""
    if not (run / "history.csv").exists():
        return []
    with (run / "history.csv").open() as file:
        return list(csv.DictReader(file))


def test_fit_json(trained: Trained) -> None:
    run, found = trained
    assert found["run"] == str(run)
    assert found["epochs"] == 2
    # 18 photos are 2 whole batches of 8; the other 2 photos are dropped.
    assert found["step"] == 2 * 2
    for split in ("train", "validation"):
        assert found[split]["loss"] > 0
        assert 0 <= found[split]["accuracy"] <= 1
    assert set(found["best"]) == {"epoch", "loss", "accuracy"}
    best = epochs_done(run)[found["best"]["epoch"] - 1]
    assert float(best["val_accuracy"]) == found["best"]["accuracy"]
    assert float(best["val_loss"]) == found["best"]["loss"]
    assert found["best"]["accuracy"] >= found["validation"]["accuracy"]
    assert found["images_per_second"] > 0
    assert 0 <= found["input_wait_share"] <= 1


def test_a_run_folder_holds_everything_about_the_run(trained: Trained) -> None:
    run, found = trained
    config = json.loads((run / "config.json").read_text())
    assert config["network"]["width"] == 0.05
    assert config["train"]["batch_size"] == 8
    assert Path(config["data"]).is_absolute()
    for which in ("last", "best"):
        assert any((run / "checkpoints" / which).iterdir())
    assert list((run / "logs").rglob("events.out.tfevents.*"))
    with Image.open(run / "curves.png") as curves:
        assert curves.format == "PNG"
    rows = epochs_done(run)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[-1]["loss"]) == found["train"]["loss"]
    assert float(rows[-1]["val_loss"]) == found["validation"]["loss"]


@pytest.mark.slow
def test_one_and_one_more_epoch_equal_two(
    built: Built,
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Relative paths and no --run: all in the current folder.
    monkeypatch.chdir(tmp_path)
    Path("records").symlink_to(built[0])
    ended = alexnet("fit", "--epochs", 1, "--decay-epochs", 2, *SMALL)
    assert (ended.code, ended.out) == (0, "")
    (run,) = Path("runs").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}", run.name)
    assert f"alexnet evaluate {run}" in ended.err
    assert "18 train and 6 validation examples; 2 steps of 8" in ended.err
    assert "epoch 1, step 2:" in ended.err

    monkeypatch.chdir(tmp_path.parent)
    run = tmp_path / run
    resumed = alexnet_json("fit", "--run", run, "--resume", "--epochs", 2)
    _, whole = trained
    for name in ("epochs", "step", "train", "validation", "best"):
        assert resumed[name] == whole[name]


def test_a_finished_run_resumed_reports_and_trains_no_more(trained: Trained) -> None:
    run, whole = trained
    ended = alexnet("fit", "--run", run, "--resume", "--json")
    assert ended.json == whole
    assert f"{run} is finished already: nothing was left to train" in ended.err


def test_an_option_wins_over_a_file_and_a_file_over_a_recipe(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's config.json says what it came to, before its first step."""
    own = tmp_path / "own.toml"
    own.write_text("epochs = 3\nwidth = 0.05\nmixed_precision = true\n")
    monkeypatch.setattr(TrainingLoop, "run", lambda *_: sys.exit("enough"))
    words = ("--recipe", "article", "--config", own, "--run", tmp_path / "run")
    with pytest.raises(SystemExit, match="enough"):
        alexnet("fit", built[0], *words, "--no-mixed-precision", *SMALL)
    config = RunFolder(tmp_path / "run").load_config()
    train = config.train
    assert (config.network.width, config.network.image_size) == (0.05, IMAGE_SIZE)
    article = ("sgd", 0.001, "one-hot")
    assert (train.optimizer, train.learning_rate, train.loss) == article
    assert (train.epochs, train.batch_size, train.mixed_precision) == (3, 8, False)


@pytest.mark.usefixtures("no_training")
def test_a_wrong_key_in_a_file_is_named_with_its_line(
    built: Built, tmp_path: Path
) -> None:
    (tmp_path / "own.toml").write_text("epochs = 3\nlearning-rte = 0.1\n")
    message = failure("fit", built[0], "--config", tmp_path / "own.toml")
    nearest = "own.toml, line 2: learning-rte is no setting; the nearest is"
    assert f"{nearest} learning_rate" in message


def test_the_end_names_best_and_last(trained: Trained) -> None:
    """Of a network at chance, on 6 photos, which is told as well."""
    run, found = trained
    best, last = found["best"], found["validation"]
    ended = alexnet("fit", "--run", run, "--resume")
    assert ended.err.splitlines()[-3:-1] == [
        f"validation accuracy: best {best['accuracy']:.4f} (epoch {best['epoch']}),"
        f" last {last['accuracy']:.4f} (epoch 2)",
        "warning: validation has stayed at chance: no better than naming the largest"
        " class always (50.0%), as far as 6 examples can tell",
    ]


@pytest.mark.slow
def test_patience_names_the_way_on(built: Built, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("--run", run, "--epochs", 5, "--patience", 1, "--learning-rate", "1e-12")
    ended = alexnet("fit", built[0], *words, *SMALL, "--json")
    assert (ended.code, ended.json["epochs"]) == (0, 2)
    assert ended.json["best"]["epoch"] == 1
    assert "--patience 1 has ended the run. A larger one goes on: `alexnet fit" in (
        ended.err
    )
    assert f"--run {run} --resume --patience 2`" in ended.err


def test_help_says_that_photos_will_do() -> None:
    said = " ".join(alexnet("fit", "--help").out.split())
    assert "or photos: a folder of them, a zip, or a CSV that names them" in said


@pytest.mark.parametrize("more", ["--resume", slow("--overwrite")])
def test_a_run_that_is_being_trained_is_left_alone(
    trained: Trained, built: Built, tmp_path: Path, more: str
) -> None:
    run = RunFolder(Path(shutil.copytree(trained[0], tmp_path / "run")))
    before = sorted(run.path.rglob("*"))
    words = ("--run", run.path, more, *([] if more == "--resume" else SMALL))
    with run.sole_training():
        message = failure("fit", built[0], *words)
        assert alexnet_json("evaluate", run.path, built[0])["num_examples"]
    assert f"another process is training in {run.path} at this moment." in message
    assert set(before) <= set(run.path.rglob("*"))


@pytest.mark.usefixtures("no_training")
def test_an_existing_run_is_refused(built: Built, trained: Trained) -> None:
    message = failure("fit", built[0], "--run", trained[0])
    assert str(trained[0]) in message
    assert "--resume" in message
    assert "--overwrite" in message


@pytest.mark.usefixtures("no_training")
def test_a_resumed_run_lists_other_settings(trained: Trained) -> None:
    words = ("--learning-rate", 0.5, "--variant", "bn", "--batch-size", 4)
    message = failure("fit", "--run", trained[0], "--resume", *words)
    assert "variant article -> bn" in message
    assert "learning_rate 0.0003 -> 0.5" in message
    assert "batch_size 8 -> 4" in message
    assert "image_size" not in message


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--run TMP --resume", "no run in this folder"),
        ("--run TMP/gone --resume", "no such folder: "),
        ("RECORDS --run RUN/sub --epochs 0", "epochs is 0"),
        ("RECORDS --learning-rate -1", "learning_rate is -1.0"),
        ("RECORDS --width 0", "width is 0.0"),
        ("RECORDS --image-size 20", "67 pixels or more"),
        ("RECORDS --image-size 67 --checkpoint-minutes -1", "0 or more"),
        ("RECORDS --image-size 67 --ram-budget 1KiB", "64 MiB or more"),
        ("RECORDS --image-size 67 --strategy multi-worker", "TF_CONFIG"),
        ("TMP/gone", "TMP/gone"),
        ("TMP", "records build"),
    ],
)
def test_what_does_not_fit_is_told(
    words: str,
    said: str,
    built: Built,
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"RECORDS": built[0], "RUN": trained[0], "TMP": tmp_path}

    def filled(text: str) -> str:
        for name, place in places.items():
            text = text.replace(name, str(place))
        return text

    if words.startswith("RECORDS --image-size 67"):
        words += " --batch-size 8"
    message = failure("fit", *filled(words).split())
    assert filled(said) in message
    assert len(message.splitlines()) <= 2
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("no_training")
def test_a_batch_larger_than_the_split_is_told(built: Built, tmp_path: Path) -> None:
    words = ("--run", tmp_path / "run", "--image-size", IMAGE_SIZE)
    message = failure("fit", built[0], *words, "--batch-size", 19)
    assert "19" in message
    assert "18" in message
    assert "--batch-size" in message


@pytest.mark.usefixtures("no_training")
def test_records_too_small_for_the_network_are_told(
    built: Built, tmp_path: Path
) -> None:
    message = failure("fit", built[0], "--run", tmp_path / "run")
    assert f"{STORED_SIDE} px squares; the network takes 227 px" in message
    assert "--side 227" in message
    assert f"--image-size {STORED_SIDE}" in message


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("classes", "fraction", "said"),
    [(["cat"], 0.25, "one class only (cat)"), (["cat", "dog"], 1, "no train examples")],
)
def test_records_without_two_classes_or_a_train_split_are_told(
    classes: list[str], fraction: float, said: str, photos: Path, tmp_path: Path
) -> None:
    for name in classes:
        shutil.copytree(photos / name, tmp_path / "photos" / name)
    records = tmp_path / "records"
    words = ("--out", records, "--side", STORED_SIDE, "--workers", 1)
    more = ("--validation-fraction", fraction)
    alexnet_json("records", "build", tmp_path / "photos", *words, *more)
    assert said in failure("fit", records, "--run", tmp_path / "run", *SMALL)


@pytest.mark.usefixtures("no_training")
def test_fresh_deletes_nothing_when_the_settings_are_wrong(
    built: Built, trained: Trained
) -> None:
    before = sorted(trained[0].rglob("*"))
    failure("fit", built[0], "--run", trained[0], "--overwrite", *SMALL, "--epochs", 0)
    assert sorted(trained[0].rglob("*")) == before


@pytest.mark.slow
def test_fresh_starts_again(built: Built, trained: Trained, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    for name in ("letter.txt", "holiday.png", "confusion-all.png"):
        (run / name).write_text("dear")
    words = ("--run", run, "--overwrite", "--epochs", 1, *SMALL, "--augment", "article")
    found = alexnet_json("fit", built[0], *words)
    assert (found["epochs"], found["step"]) == (1, 2)
    assert len(epochs_done(run)) == 1
    assert json.loads((run / "config.json").read_text())["train"]["augment"] == (
        "article"
    )
    assert (run / "letter.txt").is_file()
    assert (run / "holiday.png").is_file()
    assert not (run / "confusion-all.png").exists()


@pytest.mark.parametrize(
    ("number", "code"), [slow(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_saves_and_names_the_command_that_goes_on(
    built: Built,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
) -> None:
    monkeypatch.setattr(FitProgress, "step", lambda *_: os.kill(os.getpid(), number))
    run = tmp_path / "my run"
    words = ("--run", run, "--batch-size", 6)
    ended = alexnet("fit", built[0], "--json", *SMALL, *words)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.splitlines()[-1] == (
        f"interrupted: what was trained is kept; go on with `alexnet fit --run '{run}'"
        " --resume`"
    )
    assert (run / "checkpoints" / "last" / "ckpt-2.index").is_file()


def test_ctrl_c_before_there_is_a_run_says_so(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupted)
    ended = alexnet("fit", built[0], "--run", tmp_path / "run", *SMALL)
    assert (ended.code, ended.out) == (130, "")
    assert ended.err.splitlines()[-1] == "interrupted before the run had begun"


def test_a_loss_that_explodes_is_told_with_its_step(
    built: Built, tmp_path: Path
) -> None:
    words = ("--run", tmp_path / "run", "--learning-rate", "1e6", "--epochs", 3)
    message = failure("fit", built[0], *words, *SMALL, "--checkpoint-minutes", 0)
    assert re.match(r"the loss is \S+, at a learning rate of \S+, at step 2;", message)
    assert "last/ckpt-1 is kept" in message
    assert len(message.splitlines()) == 1


@pytest.mark.slow
def test_ctrl_c_at_a_terminal_keeps_finished_epochs(
    built: Built, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ("fit", built[0], "--run", run, "--epochs", "500")
    fit = subprocess.Popen(
        [Path(sys.executable).with_name("alexnet"), *words, *SMALL],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while len(epochs_done(run)) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(fit.pid, signal.SIGINT)
    printed, said = fit.communicate(timeout=300)
    assert fit.returncode == 130, said
    assert printed == ""
    assert f"alexnet fit --run {run} --resume" in said.splitlines()[-1]
    assert "Traceback" not in said
    found = alexnet_json("evaluate", run, "--checkpoint", "last")
    assert found["epoch"] == len(epochs_done(run))


@pytest.mark.slow
def test_plot_json(trained: Trained, tmp_path: Path) -> None:
    found = alexnet_json("plot", trained[0], "--out", tmp_path)
    assert found["run"] == str(trained[0])
    assert found["checkpoint"] == "best"
    assert found["epoch"] in (1, 2)
    assert len(found["pictures"]) >= 4
    for picture in found["pictures"]:
        assert Path(picture).parent == tmp_path
        with Image.open(picture) as image:
            assert image.format == "PNG"


@pytest.mark.parametrize(
    "words", ["evaluate RUN", "predict RUN a.jpg", "export RUN out", "plot RUN"]
)
def test_a_folder_that_is_no_run_is_named(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (9, 9)).save("a.jpg")
    message = failure(*words.replace("RUN", "gone").split())
    assert message.startswith("no such folder: gone.")
    assert "alexnet fit" in message


@pytest.mark.parametrize(
    ("variant", "classes", "parameters", "trainable"),
    [
        ("article", 2, 58_290_562, 58_290_050),
        slow("paper", 1000, 60_965_224, 60_965_224),
    ],
)
def test_summary_json(
    variant: str, classes: int, parameters: int, trainable: int
) -> None:
    found = alexnet_json("summary", "--variant", variant, "--classes", classes)
    assert (found["variant"], found["num_classes"]) == (variant, classes)
    assert found["parameters"] == parameters
    assert found["trainable_parameters"] == trainable
    assert sum(layer["parameters"] for layer in found["layers"]) == parameters
    first, last = found["layers"][0], found["layers"][-1]
    assert set(first) == {"name", "type", "output_shape", "parameters"}
    assert (first["type"], first["output_shape"]) == ("Conv2D", [55, 55, 96])
    assert first["parameters"] == 11 * 11 * 3 * 96 + 96
    assert last["output_shape"] == [classes]


def test_summary_for_people() -> None:
    ended = alexnet("summary", "--width", 0.05, "--image-size", IMAGE_SIZE)
    assert ended.code == 0
    assert "article, 2 classes, 67 px" in ended.out
    assert re.search(r"parameters: [\d,]+ \([\d,]+ trainable\)", ended.out)


def test_summary_of_a_run(trained: Trained) -> None:
    found = alexnet_json("summary", trained[0])
    words = ("--width", 0.05, "--image-size", IMAGE_SIZE)
    assert found == alexnet_json("summary", *words)
    ended = alexnet("summary", trained[0], "--classes", 3)
    assert ended.code == 2
    assert "--classes is the run's own" in ended.err
    assert "no such folder: gone" in failure("summary", "gone")
