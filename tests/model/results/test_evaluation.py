"""A run meets records: its own, others, and none of its kind; every example once."""

from __future__ import annotations

import gc
import shutil
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import alexnet.model.results.evaluation
import alexnet.pipeline.read.errors
from alexnet.model.results.evaluation import (
    classify,
    evaluate,
    load_classifier,
)
from alexnet.model.results.plots import plot_run
from alexnet.model.results.run_data import held_out_split, require_fitting
from alexnet.model.training.checkpoints import Checkpoints
from alexnet.model.training.classifier import Classifier
from alexnet.model.training.history import EpochRecord
from alexnet.model.training.learning_rate import LearningRate
from alexnet.model.training.optimizer import trainable_weights
from alexnet.model.training.optimizers import Sgd
from alexnet.model.training.run import RunFolder
from alexnet.model.training.run_config import RunConfig
from alexnet.model.training.train_step import TrainableClassifier
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import ConfigError, DataError, RunError
from alexnet.pipeline.read.image_folder import open_data
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.source.scan import scan
from tests.conftest import IMAGE_SIDE, NUM_HELD_OUT, NUM_TRAIN, TRAIN_SIDE, slow


def stored(records: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels of raw records, read from the files by hand."""
    pixels, labels = [], []
    for path in sorted(records.glob(f"{split}-*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            data = feature["image/raw"].bytes_list.value[0]
            pixels.append(np.frombuffer(data, np.uint8).reshape(2 * [TRAIN_SIDE] + [3]))
            labels += feature["image/class/label"].int64_list.value
    return np.stack(pixels), np.array(labels)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_every_example_once_at_any_batch_size(
    trained_run: RunFolder, train_records: Path, batch_size: int
) -> None:
    classifier, _ = load_classifier(trained_run)
    records = open_records(train_records)
    batches = list(classify(classifier, records, ["validation"], batch_size))
    pixels, labels = stored(train_records, "validation")
    found = np.concatenate([batch.labels for batch in batches])
    np.testing.assert_array_equal(found, labels)
    logits = classifier.eval_logits(tf.constant(pixels)).numpy()
    found = np.concatenate([batch.logits for batch in batches])
    np.testing.assert_allclose(found, logits, atol=1e-5)
    images = np.concatenate([batch.images[: len(batch.labels)] for batch in batches])
    np.testing.assert_array_equal(images, pixels)


@pytest.mark.parametrize("batch_size", [7, slow(128)])
def test_all_is_both_splits(trained_run: RunFolder, batch_size: int) -> None:
    told: list[tuple[int, int]] = []
    whole = evaluate(
        trained_run,
        split="all",
        batch_size=batch_size,
        progress=lambda *counts: told.append(counts),
    ).scores
    train, held_out = (
        evaluate(trained_run, split=split).scores for split in ("train", "validation")
    )
    total = NUM_TRAIN + NUM_HELD_OUT
    assert (train.num_examples, held_out.num_examples) == (NUM_TRAIN, NUM_HELD_OUT)
    np.testing.assert_array_equal(
        whole.confusion(), train.confusion() + held_out.confusion()
    )
    loss = (train.loss * NUM_TRAIN + held_out.loss * NUM_HELD_OUT) / total
    assert whole.loss == pytest.approx(loss, rel=1e-6)
    assert told[-1] == (total, total)


@pytest.mark.slow
def test_memory_holds_one_batch_at_a_time(
    trained_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch is let go of before the next one is asked for."""
    alive: list[int] = []
    classify_all = alexnet.model.results.evaluation.classify

    def counted(*arguments: Any) -> Iterator[Any]:
        references: list[weakref.ref[np.ndarray]] = []
        for batch in classify_all(*arguments):
            references.append(weakref.ref(batch.logits))
            yield batch
            del batch
            gc.collect()
            alive.append(sum(reference() is not None for reference in references))

    monkeypatch.setattr(alexnet.model.results.evaluation, "classify", counted)
    evaluate(trained_run, split="all", batch_size=4)
    assert len(alive) == 8 + 3
    assert max(alive) <= 1  # the loop's variable still holds the last one


def test_an_error_of_the_networks_own_is_not_blamed_on_the_records(
    trained_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise tf.errors.InvalidArgumentError(None, None, "of the network")

    monkeypatch.setattr(Classifier, "eval_logits", broken)
    monkeypatch.setattr(
        alexnet.pipeline.read.errors,
        "require_whole_shards",
        lambda _: pytest.fail("shards are read"),
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="of the network"):
        evaluate(trained_run)


def test_it_is_what_training_said_of_its_last_epoch(trained_run: RunFolder) -> None:
    last = trained_run.load_history()[-1]
    report = evaluate(trained_run, checkpoint="last")
    assert (report.checkpoint, report.epoch) == ("last", last.epoch) == ("last", 2)
    assert report.scores.loss == pytest.approx(last.val_loss, rel=1e-4)
    assert report.scores.top1 == pytest.approx(last.val_accuracy)


@pytest.mark.parametrize("tta", ["flip", slow("ten-crop")])
def test_probabilities_of_views_are_averaged(
    trained_run: RunFolder, train_records: Path, tta: Any
) -> None:
    report = evaluate(trained_run, tta=tta, batch_size=4)
    classifier, _ = load_classifier(trained_run)
    pixels, labels = stored(train_records, "validation")
    # The centre of 5 pixels' margin, and for ten crops the corners.
    places = [(2, 2), *([(0, 0), (0, 5), (5, 0), (5, 5)] if tta == "ten-crop" else [])]
    crops = [pixels[:, y : y + IMAGE_SIDE, x : x + IMAGE_SIDE] for y, x in places]
    crops += [crop[:, :, ::-1] for crop in crops]
    odds = np.mean([classifier(tf.constant(crop)).numpy() for crop in crops], axis=0)
    loss = -np.log(odds[np.arange(len(labels)), labels]).mean()
    assert report.scores.loss == pytest.approx(loss, rel=1e-4)
    assert report.scores.top1 == pytest.approx((odds.argmax(1) == labels).mean())
    assert report.to_json()["tta"] == tta
    assert report.scores.loss != evaluate(trained_run).scores.loss


def test_an_unknown_view_is_refused(trained_run: RunFolder) -> None:
    with pytest.raises(ConfigError, match="one of none, flip, ten-crop"):
        evaluate(trained_run, tta="twelve-crop")  # type: ignore[arg-type]


def record_of(epoch: int, accuracy: float | None) -> EpochRecord:
    return EpochRecord(epoch, epoch, 0.1, 0.7, 0.9, 0.6, accuracy, 1.0, 0.0, 1.0)


@pytest.fixture
def two_states(trained_run: RunFolder, tmp_path: Path) -> RunFolder:
    """A run whose best state calls everything the first class, the last the second."""
    run = RunFolder(tmp_path / "run")
    run.save_config(trained_run.load_config())
    classifier, _ = load_classifier(trained_run)
    weights = trainable_weights(classifier.network)
    rate = LearningRate("constant", 0.1, 0, 1)
    trainable = TrainableClassifier(
        classifier.network, classifier.augment, Sgd(weights, rate)
    )
    checkpoints = Checkpoints(run, trainable)
    bias = classifier.network.trainable_variables[-1]
    for epoch, values in ((1, [99.0, 0.0]), (2, [0.0, 99.0])):
        bias.assign(values)
        checkpoints.save(10 * epoch, epoch, is_best=epoch == 1)
    run.save_history([record_of(1, 0.75), record_of(2, 0.5)])
    return run


@pytest.mark.parametrize(
    ("which", "epoch", "guess"), [({}, 1, 0), ({"checkpoint": "last"}, 2, 1)]
)
def test_the_best_state_is_used_unless_the_last_is_asked_for(
    two_states: RunFolder, which: dict[str, Any], epoch: int, guess: int
) -> None:
    report = evaluate(two_states, **which)
    assert (report.checkpoint, report.epoch) == (("best", "last")[epoch - 1], epoch)
    assert report.scores.confusion()[:, guess].sum() == report.scores.num_examples


def test_without_validation_the_last_state_is_used(two_states: RunFolder) -> None:
    two_states.save_history([record_of(1, None), record_of(2, None)])
    report = evaluate(two_states)
    assert (report.checkpoint, report.epoch) == ("last", 2)


@pytest.fixture
def rebuild(train_records: Path, tmp_path: Path) -> Callable[..., Path]:
    """Build records of photos like the run's, cut and split by some settings."""
    photos = tmp_path / "photos"
    photos.mkdir()
    pixels = [stored(train_records, split) for split in ("train", "validation")]
    for number, (image, label) in enumerate(
        pair for images, labels in pixels for pair in zip(images, labels, strict=True)
    ):
        name = f"{('cat', 'dog')[label]}.{number}.png"
        Image.fromarray(image).save(photos / name)

    def with_settings(**settings: Any) -> Path:
        out = tmp_path / "-".join(map(str, settings.values()))
        config = BuildConfig(**{"storage": "raw", "side": TRAIN_SIDE, **settings})
        build(scan(photos), out, config, workers=1)
        return out

    return with_settings


def moved(trained_run: RunFolder, data: Path, folder: Path) -> RunFolder:
    """The run, whose records lie in `data` now."""
    run = RunFolder(Path(shutil.copytree(trained_run.path, folder / "moved")))
    run.save_config(replace(run.load_config(), data=str(data)))
    return run


def test_other_records_where_the_runs_own_lay_are_refused(
    trained_run: RunFolder, rebuild: Callable[..., Path], tmp_path: Path
) -> None:
    records = rebuild(seed=5)
    run = moved(trained_run, records, tmp_path)
    with pytest.raises(RunError, match="these are other records than the run's") as bad:
        evaluate(run)
    assert f"alexnet evaluate {run.path} {records}" in str(bad.value)
    config = run.load_config()
    for fingerprint in (
        config.records_fingerprint,
        open_records(records).manifest.fingerprint,
    ):
        assert fingerprint[:8] not in str(bad.value)
    with pytest.raises(RunError, match="these are other records"):
        plot_run(run, tmp_path / "pictures")


@pytest.mark.slow
def test_other_records_that_are_named_are_evaluated_whole(
    trained_run: RunFolder, rebuild: Callable[..., Path]
) -> None:
    records = rebuild(seed=5)
    report = evaluate(trained_run, records)
    assert (report.split, report.is_own_data) == ("all", False)
    assert report.scores.num_examples == NUM_TRAIN + NUM_HELD_OUT
    assert "other records than the run's" in str(report.note)
    part = evaluate(trained_run, records, split="validation")
    assert (part.split, part.scores.num_examples) == ("validation", NUM_HELD_OUT)
    assert part.note == report.note


def test_the_runs_own_records_are_known_wherever_they_lie(
    trained_run: RunFolder, train_records: Path, tmp_path: Path
) -> None:
    records = Path(shutil.copytree(train_records, tmp_path / "copy"))
    report = evaluate(trained_run, records)
    assert (report.split, report.is_own_data, report.note) == ("validation", True, None)
    assert report.scores.num_examples == NUM_HELD_OUT
    assert "trained on these" in str(evaluate(trained_run, split="train").note)


def test_photos_are_compared_as_records_are(
    trained_run: RunFolder, rebuild: Callable[..., Path], tmp_path: Path
) -> None:
    photos = rebuild(seed=21).parent / "photos"
    manifest = open_data(
        photos, BuildConfig(storage="original", side=TRAIN_SIDE)
    ).manifest
    run = moved(trained_run, photos, tmp_path)
    config = replace(run.load_config(), records_fingerprint=manifest.fingerprint)
    run.save_config(config)
    report = evaluate(run)
    assert (report.split, report.scores.num_examples) == ("validation", NUM_HELD_OUT)
    (photos / "cat.999.png").write_bytes((photos / "cat.0.png").read_bytes())
    with pytest.raises(RunError, match="these are other photos than the run's"):
        evaluate(run)


@pytest.mark.parametrize(
    ("fraction", "split"), [(0.25, "validation"), (0.0, "train"), (1.0, "validation")]
)
def test_what_is_held_out_is_evaluated(
    rebuild: Callable[..., Path], fraction: float, split: str
) -> None:
    records = open_records(rebuild(validation_fraction=fraction))
    assert held_out_split(records) == split
    card = records.manifest.splits["train"]
    given = {**records.manifest.splits, "test": card}
    given_split = held_out_split(
        OpenedRecords(records.folder, replace(records.manifest, splits=given))
    )
    assert given_split == ("test" if split == "train" else split)


def test_records_of_other_classes_are_refused(
    trained_run: RunFolder, train_records: Path, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    config = replace(trained_run.load_config(), class_names=("fox", "owl"))
    run.save_config(config)
    with pytest.raises(RunError, match=r"tells fox, owl apart; .* hold cat, dog"):
        evaluate(run, train_records)


def test_of_ten_thousand_classes_a_few_are_named(
    trained_run: RunFolder, train_records: Path
) -> None:
    records = open_records(train_records)
    names = tuple(f"class {number}" for number in range(10_000))
    ours = replace_classes(trained_run.load_config(), ("odd", *names[1:]))
    theirs = replace(records.manifest, class_names=names)
    with pytest.raises(RunError, match="without odd, with class 0") as error:
        require_fitting(ours, OpenedRecords(records.folder, theirs))
    assert "(10,000 in all)" in str(error.value)
    assert len(str(error.value)) < 500
    turned = replace(theirs, class_names=(*names[1:], "odd"))
    with pytest.raises(RunError, match="in another order"):
        require_fitting(ours, OpenedRecords(records.folder, turned))


def replace_classes(config: RunConfig, names: tuple[str, ...]) -> RunConfig:
    network = replace(config.network, num_classes=len(names))
    return replace(config, class_names=names, network=network)


def test_records_of_another_size_are_refused(
    trained_run: RunFolder, record_sets: dict[str, Path]
) -> None:
    with pytest.raises(RunError, match=r"hold 16 px .* Build them with `side=72`"):
        evaluate(trained_run, record_sets["raw"])


def test_records_that_were_resized_otherwise_are_refused(
    trained_run: RunFolder, rebuild: Callable[..., Path]
) -> None:
    records = rebuild(resize="squash")
    with pytest.raises(
        RunError, match=r"with `resize='crop'`; .* `resize='squash'`"
    ) as e:
        evaluate(trained_run, records)
    assert "Build them with `side=72` `resize='crop'`" in str(e.value)


def test_an_unknown_split_is_refused(trained_run: RunFolder) -> None:
    with pytest.raises(DataError, match="no test examples"):
        evaluate(trained_run, split="test")


def test_a_checkpoint_of_another_network_is_refused(
    trained_run: RunFolder, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(trained_run.path, run.path)
    config = run.load_config()
    run.save_config(replace(config, network=replace(config.network, width=0.125)))
    with pytest.raises(RunError, match="does not fit this network"):
        evaluate(run)
