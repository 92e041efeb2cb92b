"""A page holds what was found of a run, and says what is missing."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.model.report.page import write_page
from alexnet.model.report.report import write_report
from alexnet.model.report.run_report import HeldOut, RunReport
from alexnet.model.report.run_settings import (
    differing_settings,
    fit_command,
    run_settings,
)
from alexnet.model.report.run_view import MOST_CLASSES, RunView
from alexnet.model.results.evaluation import evaluate
from alexnet.model.results.scores import Scores
from alexnet.model.training.hardware import set_up_hardware
from alexnet.model.training.plan import plan_training
from alexnet.model.training.report import FitReport
from alexnet.model.training.run import RunFolder
from alexnet.model.training.run_config import RunConfig
from alexnet.model.training.training import train
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import RunError
from alexnet.pipeline.source.scan import scan
from tests.cli.conftest import parse
from tests.conftest import (
    NUM_HELD_OUT,
    TINY_RUN,
    TRAIN_SIDE,
    RecordedProgress,
    smooth_photo,
)
from tests.model.report.pages import Page, read_page

SECTIONS = [
    "To train it again",
    "Curves",
    "Classes",
    "Confusion",
    "Calibration",
    "Most confident mistakes",
    "First-layer filters",
    "Augmented samples",
    "Where time went",
    "Settings and machine",
]


@pytest.fixture(scope="module")
def page(trained_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Page:
    out = tmp_path_factory.mktemp("report") / "new" / "report.html"
    (report,) = write_report([trained_run], out)
    assert not report.missing
    return read_page(out)


@pytest.fixture
def copied_run(trained_run: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of the trained run that a test may change."""
    return RunFolder(Path(shutil.copytree(trained_run.path, tmp_path / "run")))


def test_a_page_has_every_section_and_asks_for_nothing(page: Page) -> None:
    assert page.headings == ["run", *SECTIONS]
    assert "http" not in page.text.replace("http-equiv", "")
    assert "default-src 'none'" in page.text
    assert len(page.pictures) == len(page.addresses) > 20
    assert len(page.text) < 300_000


def test_its_figures_are_those_of_the_evaluation(
    page: Page, trained_run: RunFolder
) -> None:
    scores = evaluate(trained_run).scores
    assert f"{100 * scores.top1:.1f} %" in page.words
    for figures, counts in zip(scores.per_class(), scores.confusion(), strict=True):
        shares = (figures.precision, figures.recall, figures.f1)
        row = [figures.name, str(figures.num_examples)]
        percents = [f"{100 * share:.1f} %" for share in shares]
        assert page.row(*row, cells=5) == [*row, *percents]
        assert page.row(figures.name, *map(str, counts), cells=3)
    mistakes = NUM_HELD_OUT - int(np.trace(scores.confusion()))
    assert page.words.count("taken for") == mistakes


def test_its_history_settings_and_machine_are_the_runs(
    page: Page, trained_run: RunFolder
) -> None:
    for record in trained_run.load_history():
        wait = f"{100 * record.input_wait_share:.1f} %"
        row = page.row(str(record.epoch))
        assert [row[3], *row[6:]] == [wait, "–", "0"]
    fit = FitReport(trained_run.path, tuple(trained_run.load_history()))
    assert fit.time_summary in page.words
    assert page.row("variant") == ["variant", "bn"]
    assert page.row("learning_rate") == ["learning_rate", "0.0003"]
    machine = trained_run.load_circumstances()
    assert {"host", "cpu", "gpu", "computes on", "tensorflow", "python"} <= set(machine)
    assert page.row("gpu") == ["gpu", "none"]
    assert "replica" in page.row("computes on")[1]


def test_the_command_trains_the_same_run(trained_run: RunFolder) -> None:
    config = trained_run.load_config()
    changed = replace(
        config,
        data="/a folder/records",
        network=replace(config.network, variant="paper", dropout=0.25),
        train=TrainConfig(
            optimizer="momentum",
            xla=False,
            mixed_precision=True,
            ram_budget_bytes=2**27,
            warmup_epochs=0.5,
            reader="mmap",
            seed=3,
            init_from="weights of others.npz",
            freeze=("conv1", "conv2"),
        ),
    )
    for expected in (config, changed):
        command = fit_command(expected, Path("runs/a b"))
        _, *words = shlex.split(command)
        parameters = parse(words)
        assert str(parameters["data"]) == expected.data
        assert parameters["run"] == Path("runs/a b")
        for settings in (expected.network, expected.train):
            values = settings.to_json()
            for name in values.keys() & parameters.keys():
                values[name] = parameters[name]
            assert type(settings).from_json(values) == settings


def train_without_validation(folder: Path) -> RunFolder:
    """A run of an epoch on records that hold nothing out."""
    for number in range(20):
        path = folder / "photos" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        smooth_photo(number, TRAIN_SIDE, TRAIN_SIDE).save(path)
    config = BuildConfig(storage="raw", side=TRAIN_SIDE, validation_fraction=0)
    build(scan(folder / "photos"), folder / "records", config, workers=1)
    run = RunFolder(folder / "run")
    plan = plan_training(folder / "records", run, {**TINY_RUN, "epochs": 1})
    train(plan, set_up_hardware(plan.config.train), RecordedProgress())
    return run


@pytest.mark.slow
def test_a_run_without_validation_says_so(
    trained_run: RunFolder, tmp_path: Path
) -> None:
    run = train_without_validation(tmp_path)
    out = tmp_path / "report.html"
    (alone,) = write_report([run], out)
    page = read_page(out)
    assert "Missing from this page" in page.words
    assert "the records hold no validation examples" in page.words
    assert alone.held_out and alone.held_out.split == "train"
    assert "20 examples of the split train" in page.words
    assert page.headings == ["run", *SECTIONS]
    write_report([run, trained_run], out)
    page = read_page(out)
    assert page.row("run", "–")
    assert page.pictures


def test_records_that_are_gone_leave_curves_and_filters(
    copied_run: RunFolder, tmp_path: Path
) -> None:
    config = replace(copied_run.load_config(), data=str(tmp_path / "gone"))
    copied_run.save_config(config)
    (report,) = write_report([copied_run], tmp_path / "report.html")
    (reason,) = report.missing
    assert reason.startswith("Everything that needs the records: ")
    assert str(tmp_path / "gone") in reason
    page = read_page(tmp_path / "report.html")
    assert reason in page.words
    assert "Curves" in page.headings and "First-layer filters" in page.headings
    assert "Classes" not in page.headings and page.pictures


def test_a_run_that_has_just_begun_has_a_page(
    copied_run: RunFolder, tmp_path: Path
) -> None:
    copied_run.history_path.unlink()
    shutil.rmtree(copied_run.path / "checkpoints")
    (report,) = write_report([copied_run], tmp_path / "report.html")
    page = read_page(tmp_path / "report.html")
    assert "no epoch has been finished" in page.words and len(report.missing) == 2
    assert page.headings == [
        "run",
        "To train it again",
        "Augmented samples",
        "Settings and machine",
    ]


def test_no_run_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder"):
        write_report([RunFolder(tmp_path / "gone")], tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_several_runs_begin_with_their_differences(
    trained_run: RunFolder, copied_run: RunFolder, tmp_path: Path
) -> None:
    config = copied_run.load_config()
    other = replace(config, train=replace(config.train, learning_rate=0.5))
    copied_run.save_config(other)
    twin = RunFolder(Path(shutil.copytree(copied_run.path, tmp_path / "twin")))
    write_report([trained_run, copied_run, twin], tmp_path / "report.html")
    page = read_page(tmp_path / "report.html")
    assert page.headings[1:4] == ["Differences", "Results", "Recall of each class"]
    assert page.row("learning_rate", "0.0003", "0.5", "0.5")
    assert differing_settings([config, other]) == [("learning_rate", [0.0003, 0.5])]
    assert page.headings.count("Curves") == 3
    assert page.pictures
    write_report([copied_run, twin], tmp_path / "report.html")
    assert (
        "The settings of these runs are the same"
        in (tmp_path / "report.html").read_text()
    )


def test_a_changed_augmentation_is_a_difference(trained_run: RunFolder) -> None:
    config = trained_run.load_config()
    milder = replace(config, augment=replace(config.augment, lighting=0.0))
    names = {setting.name for setting in run_settings(milder)}
    assert names - {setting.name for setting in run_settings(config)} == {
        "augment: lighting"
    }


def report_of(config: RunConfig, scores: Scores) -> RunReport:
    held_out = HeldOut("validation", scores)
    return RunReport(RunFolder(Path("run")), config, {}, [], held_out=held_out)


def many_classes(config: RunConfig, count: int) -> RunReport:
    names = tuple(f"class {number}" for number in range(count))
    scores = Scores(names)
    labels = np.arange(count).repeat(2)
    logits = np.zeros((2 * count, count), np.float32)
    guesses = np.where(np.arange(2 * count) % 6 == 1, (labels + 1) % count, labels)
    logits[np.arange(2 * count), guesses] = 5
    scores.add(labels, logits)
    network = NetworkConfig(**{**config.network.to_json(), "num_classes": count})
    return report_of(replace(config, class_names=names, network=network), scores)


@pytest.mark.slow
def test_of_thousands_of_classes_the_worst_are_shown(
    trained_run: RunFolder, tmp_path: Path
) -> None:
    report = many_classes(trained_run.load_config(), 3000)
    view = RunView(report)
    assert view.held_out
    assert len(view.held_out.classes) == MOST_CLASSES and not view.held_out.matrix
    # Every third class has lost one of its two examples to the next one.
    assert {figures.recall for figures in view.held_out.classes} == {0.5}
    first = view.held_out.pairs[0]
    assert first[2:] == (1, 0.5)
    out = tmp_path / "page.html"
    assert write_page(out, "run.html", title="many", view=view) < 80_000
    words = read_page(out).words
    assert f"The {MOST_CLASSES} of 3,000 classes with the lowest F1" in words


def test_names_of_users_are_text(copied_run: RunFolder, tmp_path: Path) -> None:
    names = ("<script>alert(1)</script>", "not \udcff UTF-8")
    run = RunFolder(copied_run.path.rename(tmp_path / "<b>&run"))
    config = replace(run.load_config(), class_names=names)
    scores = Scores(names)
    scores.add(np.array([0, 1]), np.eye(2, dtype=np.float32))
    run.save_config(config)
    (report,) = write_report([run], tmp_path / "report.html")
    assert report.missing  # the records have other classes
    report.held_out = HeldOut("validation", scores)
    write_page(tmp_path / "page.html", "run.html", title="<i>", view=RunView(report))
    for name in ("report.html", "page.html"):
        page = read_page(tmp_path / name)
        assert "<script>alert" not in page.text and page.text.count("<script>") == 1
        assert "<b>&run" in page.words
    assert "not \\udcff UTF-8" in page.words
