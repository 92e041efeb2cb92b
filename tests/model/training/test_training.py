"""Plans that are refused, runs that go on, and the article's figures."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.model.network.alexnet import build_network
from alexnet.model.results.evaluation import evaluate
from alexnet.model.results.run_data import open_run_data
from alexnet.model.training.checkpoints import load_network
from alexnet.model.training.epoch_clock import EpochTime
from alexnet.model.training.execution import Execution
from alexnet.model.training.hardware import set_up_hardware
from alexnet.model.training.history import EpochRecord
from alexnet.model.training.learning_rate import make_learning_rate
from alexnet.model.training.plan import TrainPlan, make_run_config, plan_training
from alexnet.model.training.report import FitReport
from alexnet.model.training.run import RunFolder
from alexnet.model.training.training import make_train_step, train
from alexnet.pipeline.augment.augment import augment_batch, fold_seed
from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, ReadConfig
from alexnet.pipeline.errors import ConfigError, DataError, RunError
from alexnet.pipeline.read.dataset import train_dataset
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.records.manifest import Shard, SplitCard
from alexnet.pipeline.records.tfrecord import frame
from alexnet.pipeline.source.scan import scan
from tests.conftest import (
    BATCH,
    IMAGE_SIDE,
    NUM_TRAIN,
    TINY_RUN,
    TRAIN_SIDE,
    RecordedProgress,
    flip,
    slow,
)
from tests.model.runs import checkpointed, require_same

STEPS = NUM_TRAIN // BATCH


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


@pytest.fixture
def copied_run(trained_run: RunFolder, run: RunFolder) -> RunFolder:
    """A copy of the trained run that a test may change."""
    shutil.copytree(trained_run.path, run.path)
    return run


def do(plan: TrainPlan, progress: RecordedProgress | None = None) -> FitReport:
    hardware = set_up_hardware(plan.config.train)
    return train(plan, hardware, progress or RecordedProgress())


def test_what_a_run_leaves(trained_run: RunFolder) -> None:
    assert {path.name for path in trained_run.path.iterdir()} == {
        *("config.json", "history.csv", "checkpoints", "logs")
    }
    first, second = trained_run.load_history()
    assert [(r.epoch, r.step) for r in (first, second)] == [(1, STEPS), (2, 2 * STEPS)]
    for record in (first, second):
        assert record.seconds > 0
        assert 0 < record.input_wait_share < 1
        rate = STEPS * BATCH / record.seconds
        assert record.images_per_second == pytest.approx(rate)
        spent = record.time
        assert min(asdict(spent).values()) > 0
        assert spent.step + spent.input <= record.seconds
        assert 0 < record.loss < 10
        assert record.val_loss is not None
        # Thirds of eighths, and tenths: counted over the examples, padding left out.
        assert record.accuracy * STEPS * BATCH == pytest.approx(
            round(record.accuracy * STEPS * BATCH), abs=1e-4
        )
        assert (record.val_accuracy or 0) * 10 == pytest.approx(
            round((record.val_accuracy or 0) * 10), abs=1e-4
        )
    saved = checkpointed(trained_run)
    steps = [v for k, v in saved.items() if k.startswith("step/")]
    assert [int(step) for step in steps] == [2 * STEPS]


def test_one_and_one_epoch_are_two(
    trained_run: RunFolder, train_records: Path, run: RunFolder
) -> None:
    # As long a decay as the whole run's, which needs not be told.
    settings = {**TINY_RUN, "epochs": 1, "decay_epochs": 2}
    do(plan_training(train_records, run, settings))
    assert run.load_config().train.epochs == 1
    progress = RecordedProgress()
    # Nothing but the number of epochs: all else is the run's own, its records too.
    report = do(plan_training(None, run, {"epochs": 2}, resume=True), progress)
    assert progress.starts == [(STEPS, 2 * STEPS)]
    assert progress.steps == list(range(STEPS + 1, 2 * STEPS + 1))
    assert [record.epoch for record in progress.epochs] == [2]
    config = run.load_config()
    assert config.train.decay_epochs == 2
    train = replace(config.train, decay_epochs=None)
    assert replace(config, train=train) == trained_run.load_config()
    assert list(report.history) == run.load_history()
    names = set(checkpointed(trained_run))
    for part in ("network/", "optimizer/slots/", "metrics/", "step/", "epoch/"):
        assert any(name.startswith(part) for name in names), part
    require_same(run, trained_run)


def test_a_finished_run_that_is_resumed_does_nothing(
    trained_run: RunFolder, copied_run: RunFolder
) -> None:
    progress = RecordedProgress()
    report = do(plan_training(None, copied_run, {}, resume=True), progress)
    assert progress == RecordedProgress()
    assert list(report.history) == trained_run.load_history()


@pytest.mark.slow
def test_fresh_deletes_what_the_run_made_and_a_rate_too_high_is_told(
    copied_run: RunFolder, train_records: Path
) -> None:
    kept = copied_run.path / "notes.txt"
    kept.write_text("mine")
    (copied_run.path / "curves.png").write_bytes(b"drawn")
    settings = {**TINY_RUN, "epochs": 1, "learning_rate": 1e30, "warmup_epochs": 1}
    plan = plan_training(train_records, copied_run, settings, overwrite=True)
    # The first step's loss is that of fresh weights.
    rate = re.escape(f"{1e30 * 2 / STEPS:g}")  # the warm-up's second step
    told = rf"the loss is \S+, at a learning rate of {rate}, at step 2; nothing was"
    with pytest.raises(RunError, match=told):
        do(plan)
    assert kept.read_text() == "mine"
    assert copied_run.load_config() == plan.config
    left = {path.name for path in copied_run.path.iterdir()}
    assert left <= {"notes.txt", "config.json", "logs"}


@pytest.mark.parametrize("text", ["{}", "[1]", '{"model_type": "bert"}', "no JSON"])
def test_a_strangers_folder_is_not_overwritten(
    train_records: Path, tmp_path: Path, text: str
) -> None:
    (tmp_path / "config.json").write_text(text)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(RunError, match=r"is none of a run's.*another `run`"):
        plan_training(train_records, RunFolder(tmp_path), TINY_RUN, overwrite=True)
    assert (tmp_path / "config.json").read_text() == text


@pytest.mark.slow
def test_overwriting_leaves_what_others_have_put_into_a_run(
    copied_run: RunFolder, train_records: Path
) -> None:
    mine = [copied_run.path / name for name in ("checkpoints/mine", "logs/mine/x")]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    settings = {**TINY_RUN, "epochs": 1}
    do(plan_training(train_records, copied_run, settings, overwrite=True))
    assert [path.read_text() for path in mine] == ["mine"] * 2


@pytest.mark.slow
def test_a_deletion_that_was_cut_short_is_no_new_runs_past(
    copied_run: RunFolder, train_records: Path
) -> None:
    """Its states must not be gone on from by a run of other settings."""
    copied_run.config_path.unlink()
    with pytest.raises(RunError, match=r"holds a run already.*`overwrite=True`"):
        plan_training(train_records, copied_run, TINY_RUN)
    plan = plan_training(train_records, copied_run, TINY_RUN, overwrite=True)

    class Stopped(Exception):
        pass

    class Stop(RecordedProgress):
        def start(self, first_step: int, total_steps: int) -> None:
            raise Stopped

    with pytest.raises(Stopped):
        do(plan, Stop())
    progress = RecordedProgress()
    do(plan_training(None, copied_run, {"epochs": 2}, resume=True), progress)
    assert progress.starts == [(0, 2 * STEPS)]


@pytest.mark.parametrize("epochs_left", [0, 1])
def test_a_history_that_is_shorter_than_its_run_is_told(
    copied_run: RunFolder, epochs_left: int
) -> None:
    copied_run.save_history(copied_run.load_history()[:epochs_left])
    told = rf"history.csv holds {epochs_left} epochs?, and the last .* has 2 behind it"
    with pytest.raises(RunError, match=told):
        do(plan_training(None, copied_run, {}, resume=True))


def test_states_that_are_lost_are_told_and_not_begun_again(
    copied_run: RunFolder,
) -> None:
    pointer = copied_run.checkpoints_path("last") / "checkpoint"
    pointer.rename(pointer.with_name("elsewhere"))
    before = sorted(copied_run.path.rglob("*"))
    with pytest.raises(RunError, match=r"holds 2 epochs, and .* has 0 behind"):
        do(plan_training(None, copied_run, {}, resume=True))
    assert sorted(copied_run.path.rglob("*")) == before


def test_planning_changes_nothing(copied_run: RunFolder, train_records: Path) -> None:
    def state() -> list[tuple[str, int]]:
        files = sorted(copied_run.path.rglob("*"))
        return [(str(path), path.stat().st_mtime_ns) for path in files]

    before = state()
    plan_training(train_records, copied_run, TINY_RUN, overwrite=True)
    plan_training(None, copied_run, {}, resume=True)
    assert state() == before


def test_a_taken_run_folder_names_both_ways_out(
    trained_run: RunFolder, train_records: Path
) -> None:
    with pytest.raises(RunError, match=r"`resume=True`.*`overwrite=True`"):
        plan_training(train_records, trained_run, TINY_RUN)


def test_resuming_nothing_is_refused(run: RunFolder) -> None:
    with pytest.raises(RunError, match=r"no such folder: .*run"):
        plan_training(None, run, {}, resume=True)


def test_a_new_run_needs_records(run: RunFolder) -> None:
    with pytest.raises(ConfigError, match="needs the folder of its records"):
        plan_training(None, run, {})


def test_a_new_runs_rate_is_its_optimizers(train_records: Path, run: RunFolder) -> None:
    settings = {**TINY_RUN, "optimizer": "momentum"}
    train = plan_training(train_records, run, settings).config.train
    assert (train.learning_rate, train.weight_decay) == (0.02, 0.005)


def test_resuming_with_other_settings_lists_them(trained_run: RunFolder) -> None:
    settings = {"learning_rate": 0.5, "dropout": 0.1, "epochs": 1}
    with pytest.raises(RunError) as error:
        plan_training(None, trained_run, settings, resume=True)
    for difference in (
        "learning_rate 0.0003 -> 0.5",
        "dropout 0.5 -> 0.1",
        "epochs 2 -> 1",
    ):
        assert difference in str(error.value)
    assert str(error.value).count("->") == 3


def test_a_run_whose_epochs_had_another_order_is_not_gone_on_with(
    copied_run: RunFolder,
) -> None:
    settings = json.loads(copied_run.config_path.read_text("utf-8"))
    settings.pop("order_version")
    copied_run.config_path.write_text(json.dumps(settings), "utf-8")
    with pytest.raises(RunError, match=r"another order \(version 1 of it, here 2\)"):
        plan_training(None, copied_run, {"epochs": 3}, resume=True)
    # It can still be used.
    assert copied_run.load_config().order_version == 1


def test_resuming_beyond_a_decay_of_its_own_is_refused(
    train_records: Path, run: RunFolder
) -> None:
    settings = {**TINY_RUN, "epochs": 1, "decay_epochs": 1}
    run.save_config(plan_training(train_records, run, settings).config)
    with pytest.raises(ConfigError, match="with `decay_epochs=1` the learning rate"):
        plan_training(None, run, {"epochs": 2}, resume=True)


@pytest.mark.slow
def test_a_run_that_gets_more_epochs_falls_over_all_of_them(
    copied_run: RunFolder,
) -> None:
    plan = plan_training(None, copied_run, {"epochs": 4}, resume=True)
    assert plan.former is not None
    assert plan.former.train.falling_epochs == 2
    assert plan.config.train.falling_epochs == 4
    report = do(plan)
    rate = make_learning_rate(plan.config.train, STEPS)
    found = [record.learning_rate for record in report.history]
    # By then it had fallen; now it is where it would be in the middle of a long run.
    assert found[1] < found[2] / 2
    assert found[2:] == [float(rate(3 * STEPS - 1)), float(rate(4 * STEPS - 1))]


def records_of(photos: Path, out: Path, **options: Any) -> Path:
    config = BuildConfig(storage="raw", side=TRAIN_SIDE, shards=1, **options)
    build(scan(photos), out, config, workers=1)
    return out


def test_other_classes_are_not_this_runs(
    trained_run: RunFolder, photos: Path, tmp_path: Path
) -> None:
    source = tmp_path / "photos"
    shutil.copytree(photos / "cat", source / "cat")
    shutil.copytree(photos / "dog", source / "fox")
    other = records_of(source, tmp_path / "records")
    told = (
        r"other records than the run's: .* lacks the class dog and adds the class fox"
    )
    with pytest.raises(RunError, match=told):
        plan_training(other, trained_run, {}, resume=True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seed": 22}, "holds other photos, or was built with another seed or split"),
        ({"side": 96}, "was built with `side=96` instead of 72"),
        (
            {"resize": "squash", "storage": "jpeg"},
            "was built with `storage='jpeg'` instead of raw, `resize='squash'` instead",
        ),
    ],
)
def test_other_records_are_not_this_runs(
    photos: Path,
    tmp_path: Path,
    run: RunFolder,
    options: dict[str, Any],
    told: str,
) -> None:
    """The same folder, built anew, is another set; a fingerprint tells nobody."""
    records, settings = tmp_path / "records", {**TINY_RUN, "batch_size": 9}
    old = records_of(photos, records)
    run.save_config(plan_training(old, run, settings).config)
    plan_training(None, run, {}, resume=True)
    fingerprint = run.load_config().records_fingerprint
    shutil.rmtree(records)
    config = BuildConfig(**{"storage": "raw", "side": TRAIN_SIDE, **options})
    build(scan(photos), records, config, workers=1)
    with pytest.raises(RunError, match="these are other records than") as error:
        plan_training(None, run, {}, resume=True)
    assert f"{records} {told}" in str(error.value)
    assert fingerprint not in str(error.value)
    assert "start another `run`" in str(error.value)


def test_other_photos_are_not_this_runs(
    photos: Path, tmp_path: Path, run: RunFolder
) -> None:
    source = Path(shutil.copytree(photos, tmp_path / "photos"))
    plan = plan_training(source, run, {**TINY_RUN, "batch_size": 9})
    run.save_config(plan.config)
    assert plan_training(None, run, {}, resume=True).config == plan.config
    next((source / "cat").iterdir()).rename(source / "cat" / "another.jpg")
    with pytest.raises(RunError, match=r"these are other records .* other photos"):
        plan_training(None, run, {}, resume=True)


def test_of_ten_thousand_classes_a_few_are_named(trained_run: RunFolder) -> None:
    config = trained_run.load_config()
    names = tuple(f"class {number}" for number in range(10_000))
    network = replace(config.network, num_classes=len(names))
    many = replace(
        config, class_names=names, network=network, records_fingerprint="another"
    )
    records = open_records(Path(config.data))
    with pytest.raises(RunError) as error:
        make_run_config(Path(config.data), records, {}, many)
    assert "lacks the classes class 0, class 1, " in str(error.value)
    assert "(10,000 in all) and adds the classes cat, dog. Put" in str(error.value)
    assert len(str(error.value)) < 500


def test_one_class_is_refused(photos: Path, tmp_path: Path, run: RunFolder) -> None:
    shutil.copytree(photos / "cat", tmp_path / "photos" / "cat")
    records = records_of(tmp_path / "photos", tmp_path / "records")
    with pytest.raises(ConfigError, match=r"one class only \(cat\)"):
        plan_training(records, run, TINY_RUN)


def test_small_records_and_large_batches_are_refused(
    train_records: Path, run: RunFolder
) -> None:
    with pytest.raises(ConfigError, match=r"hold 72 px .* takes 227 px.*`side=227`"):
        plan_training(train_records, run, {})
    with pytest.raises(ConfigError, match="Choose `batch_size=30` or less"):
        plan_training(train_records, run, {**TINY_RUN, "batch_size": 31})
    plan = plan_training(train_records, run, {**TINY_RUN, "batch_size": 30})
    assert (plan.steps_per_epoch, plan.validation_steps) == (1, 1)


@pytest.mark.slow
def test_without_validation(photos: Path, tmp_path: Path, run: RunFolder) -> None:
    records = records_of(photos, tmp_path / "records", validation_fraction=0.0)
    settings = {**TINY_RUN, "batch_size": 24, "epochs": 1}
    plan = plan_training(records, run, settings)
    assert plan.validation_steps is None
    report = do(plan)
    assert report.last.val_loss is None
    assert report.to_json()["validation"] is None
    assert report.to_json()["best"] is None
    assert report.chance_warning is None
    assert not run.checkpoints_path("best").exists()
    config = plan.config
    assert load_network(run, build_network(config.network), "best") == 1
    with pytest.raises(ConfigError, match=r"`patience` waits .* no validation"):
        plan_training(records, run, {**settings, "patience": 1}, overwrite=True)


@pytest.mark.slow
def test_patience_ends_the_run_and_more_of_it_goes_on(
    train_records: Path, run: RunFolder
) -> None:
    """A rate of next to nothing, and no moving averages: no epoch is better."""
    rate = {"learning_rate": 1e-12, "schedule": "constant"}
    settings = {**TINY_RUN, **rate, "variant": "paper", "epochs": 9}
    report = do(plan_training(train_records, run, {**settings, "patience": 2}))
    assert [record.epoch for record in report.history] == [1, 2, 3]
    assert report.spent_patience == 2
    assert report.best is report.history[0]

    progress = RecordedProgress()
    again = do(plan_training(None, run, {}, resume=True), progress)
    assert progress == RecordedProgress()
    assert again == report

    longer = plan_training(None, run, {"patience": 3}, resume=True)
    assert [record.epoch for record in do(longer).history] == [1, 2, 3, 4]


def test_one_run_is_trained_by_one_process_at_a_time(
    copied_run: RunFolder, train_records: Path
) -> None:
    """Neither `resume` nor `overwrite` gets at it, and a look at it needs no lock."""
    before = copied_run.load_history()
    for resume in (True, False):
        plan = plan_training(
            *(train_records, copied_run, TINY_RUN), resume=resume, overwrite=not resume
        )
        with (
            copied_run.sole_training(),
            pytest.raises(RunError, match="another process is training in") as error,
        ):
            do(plan)
        assert str(copied_run.path) in str(error.value)
    assert copied_run.load_history() == before
    with copied_run.sole_training():
        assert evaluate(copied_run).scores.num_examples == 10


@pytest.mark.slow
def test_a_run_that_was_begun_meanwhile_is_not_begun_again(
    trained_run: RunFolder, train_records: Path, run: RunFolder
) -> None:
    """Planned when there was none, by two at once."""
    plan = plan_training(train_records, run, TINY_RUN)
    shutil.copytree(trained_run.path, run.path)
    with pytest.raises(
        RunError, match=r"holds a run already.*`resume=True`.*`overwrite=True`"
    ):
        do(plan)
    resumed = plan_training(None, run, {}, resume=True)
    do(plan_training(None, run, {"epochs": 3}, resume=True))
    with pytest.raises(RunError, match="epochs 3 -> 2"):
        do(resumed)


def test_a_reports_totals() -> None:
    """100 images in 1 s, then 300 in 3 s with half of that waiting: 1.5 of 4 s."""
    first = EpochRecord(1, 10, 0.1, 0.7, 0.5, 0.6, 0.5, 100.0, 0.0, 1.0)
    first = first.with_time(EpochTime(step=0.75, host=0.25, saving=0.5))
    second = EpochRecord(2, 20, 0.1, 0.4, 0.8, 0.3, 0.9, 100.0, 0.5, 3.0)
    second = replace(second, images_per_second=60)
    second = second.with_time(EpochTime(step=1.5, validation=0.5))
    report = FitReport(Path("runs/x"), (first, second), (50, 50))
    assert report.to_json() == {
        "run": "runs/x",
        "epochs": 2,
        "step": 20,
        "train": {"loss": 0.4, "accuracy": 0.8},
        "validation": {"loss": 0.3, "accuracy": 0.9},
        "best": {"epoch": 2, "loss": 0.3, "accuracy": 0.9},
        "images_per_second": pytest.approx((100 + 180) / 4),
        "input_wait_share": pytest.approx(1.5 / 4),
        "seconds": {
            "step": 2.25,
            "input": 1.5,
            "host": 0.25,
            "validation": 0.5,
            "saving": 0.5,
        },
    }
    assert report.time_summary == (
        "5.0 s in all: steps 45.0%, waiting for input 30.0%, Python between steps 5.0%,"
        " validation 10.0%, saving 10.0%."
    )
    json.dumps(report.to_json())


@pytest.mark.slow
def test_the_benchs_step_trains(train_records: Path) -> None:
    config = TrainConfig(batch_size=BATCH, strategy="none")
    step = make_train_step(train_records, config, IMAGE_SIDE)
    records = open_records(train_records)
    images, labels = next(iter(train_dataset(records, ReadConfig(batch_size=BATCH))))
    losses = step(images, labels).numpy()
    assert losses.shape == (BATCH,)
    assert 0 < losses.mean() < 10


def test_the_articles_batches(train_records: Path, run: RunFolder) -> None:
    """18 750 and 6 250 examples in batches of 32.

    The article's generator counts 586 and 196, a short last batch among them; here
    training drops it, for equal steps, and validation pads it.
    """
    plan = plan_training(train_records, run, {**TINY_RUN, "batch_size": 30})
    cards = {
        split: SplitCard((Shard("one", count, 1, 0),), (count // 2, count // 2))
        for split, count in (("train", 18_750), ("validation", 6_250))
    }
    manifest = replace(plan.records.manifest, splits=cards)
    settings = replace(plan.config.train, batch_size=32)
    article = replace(
        plan,
        config=replace(plan.config, train=settings),
        records=OpenedRecords(plan.records.folder, manifest),
    )
    generator = keras.preprocessing.image.ImageDataGenerator()
    theirs = [
        len(generator.flow(np.zeros((count, 1, 1, 3)), batch_size=32))
        for count in (18_750, 6_250)
    ]
    assert theirs == [586, 196]
    assert (article.steps_per_epoch, article.validation_steps) == (585, 196)


def test_the_articles_batch() -> None:
    images = tf.zeros([32, 256, 256, 3], tf.uint8)
    view = augment_batch(
        images, preset("article"), NetworkConfig().image_size, fold_seed(1, 0), 0, 32
    )
    assert view.shape == (32, 227, 227, 3)


@pytest.mark.parametrize("split", ["train", slow("validation")])
def test_a_damaged_shard_ends_the_run(
    train_records: Path, tmp_path: Path, run: RunFolder, split: str
) -> None:
    records = tmp_path / "records"
    shutil.copytree(train_records, records)
    (shard, *_) = sorted(records.glob(f"{split}-*.tfrecord"))
    length = int.from_bytes(shard.read_bytes()[:8], "little")
    second = 8 + 4 + length + 4  # length and its checksum, data and its checksum
    flip(shard, second + 100)
    plan = plan_training(records, run, {**TINY_RUN, "epochs": 1})
    with pytest.raises(DataError, match="is damaged") as error:
        do(plan)
    assert f"{shard} is damaged at record 1, byte {second}." in str(error.value)
    assert f"--run {run.path} --resume" in str(error.value)


@pytest.mark.slow
def test_a_label_that_somebody_forged_ends_the_run_by_its_name(
    train_records: Path, tmp_path: Path, run: RunFolder
) -> None:
    """Its checksums are right, and so are the manifest's.

    The record is among those that fill no batch in the first two epochs.
    """
    records = tmp_path / "records"
    shutil.copytree(train_records, records)
    manifest = open_records(records).manifest
    layout, (shard, *others) = manifest.layout, manifest.splits["train"].shards
    assert layout is not None
    data = bytearray((records / shard.name).read_bytes())
    start = layout.stride_bytes
    data[start + layout.label_offset] = 0x80 | 9
    data[start : 2 * start] = frame(bytes(data[start + 12 : 2 * start - 4]))
    (records / shard.name).write_bytes(data)
    forged = replace(shard, crc32c=google_crc32c.value(bytes(data)))
    card = replace(manifest.splits["train"], shards=(forged, *others))
    replace(manifest, splits={**manifest.splits, "train": card}).save(records)
    plan = plan_training(records, run, {**TINY_RUN, "epochs": 3})
    told = f"{shard.name}, record 1, byte {start}: label 9, the last class is 1"
    with pytest.raises(DataError, match=told):
        do(plan)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "a/logs; No space left on device",
            r"a/logs; No space left .* then go on with",
        ),
        ("OOM when allocating tensor", r"out of memory: OOM .* smaller `batch_size`"),
    ],
)
def test_a_full_disk_or_memory_is_told(
    said: str,
    told: str,
    train_records: Path,
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, said)

    monkeypatch.setattr(Execution, "train", fail)
    with pytest.raises(RunError, match=told):
        do(plan_training(train_records, run, TINY_RUN))


@pytest.mark.parametrize("minutes", [-1.0, math.nan])
def test_minutes_between_states_that_cannot_be_are_refused(
    train_records: Path, run: RunFolder, minutes: float
) -> None:
    with pytest.raises(ConfigError, match=r"checkpoint_minutes is .* 0 or more"):
        plan_training(train_records, run, TINY_RUN, checkpoint_minutes=minutes)


def test_an_error_that_is_not_the_shards_is_passed_on(
    train_records: Path, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise tf.errors.InvalidArgumentError(None, None, "record decode JPEG: a bug")

    monkeypatch.setattr(Execution, "train", fail)
    plan = plan_training(train_records, run, TINY_RUN)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a bug"):
        do(plan)


@pytest.fixture(scope="module")
def jpeg_records(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    records = tmp_path_factory.mktemp("jpeg") / "records"
    build(scan(photos), records, BuildConfig(side=TRAIN_SIDE), workers=1)
    return records


PLANES: dict[str, Any] = {**TINY_RUN, "epochs": 1, "decode": "planes"}


@pytest.mark.usefixtures("libturbojpeg")
def test_a_run_keeps_to_the_way_its_jpegs_are_decoded(
    jpeg_records: Path, run: RunFolder, photos: Path
) -> None:
    plan = plan_training(jpeg_records, run, PLANES)
    assert plan.records.decode == plan.config.train.decode == "planes"
    run.save_config(plan.config)
    again = plan_training(None, run, {}, resume=True)
    assert again.records.decode == "planes"
    with pytest.raises(RunError, match="decode planes -> rgb"):
        plan_training(None, run, {"decode": "rgb"}, resume=True)
    assert open_run_data(run).decode == "planes"
    assert open_run_data(run, jpeg_records).decode == "planes"
    assert open_run_data(run, photos).decode == "rgb"


@pytest.mark.slow
@pytest.mark.usefixtures("libturbojpeg")
def test_a_run_on_planes_is_trained_and_evaluated(
    jpeg_records: Path, run: RunFolder
) -> None:
    do(plan_training(jpeg_records, run, PLANES))
    (last,) = run.load_history()
    assert evaluate(run.path).scores.loss == pytest.approx(last.val_loss, rel=1e-4)


def test_records_without_planes_are_refused(
    train_records: Path, run: RunFolder
) -> None:
    with pytest.raises(ConfigError, match="decode is 'planes'; it needs 'rgb'"):
        plan_training(train_records, run, PLANES)
