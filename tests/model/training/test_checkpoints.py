"""States on the disk: which one counts, what is swept, what is refused."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import alexnet.model.training.checkpoints
from alexnet.model.training.checkpoints import (
    Checkpoints,
    divergence_error,
    latest,
    load_network,
    numbered_weights,
    reason,
)
from alexnet.model.training.learning_rate import LearningRate
from alexnet.model.training.metrics import MetricSums
from alexnet.model.training.optimizer import trainable_weights
from alexnet.model.training.optimizers import Momentum
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.errors import RunError
from tests.conftest import slow
from tests.model.runs import files_of


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def tiny_classifier(units: int = 3, value: float = 0.0) -> Any:
    """What Checkpoints needs of a classifier: network, optimizer, metrics."""
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
    for variable in network.variables:
        variable.assign(np.full(variable.shape, value))
    rate = LearningRate("constant", 0.5, 0, 1)
    return SimpleNamespace(
        network=network,
        optimizer=Momentum(trainable_weights(network), rate),
        loss_scale=None,
        average=None,
        metrics=MetricSums(),
    )


def take_step(classifier: Any) -> None:
    variables = classifier.network.trainable_variables
    classifier.optimizer.apply([tf.ones(variable.shape) for variable in variables], 0)


def saved(run: RunFolder, value: float, step: int = 1, epoch: int = 1) -> Any:
    """A classifier of which a state is saved, the best so far."""
    classifier = tiny_classifier(value=value)
    take_step(classifier)
    Checkpoints(run, classifier).save(step, epoch, is_best=True)
    return classifier


def kernel(run: RunFolder, which: str = "last") -> np.ndarray:
    """The kernel of a saved state."""
    network = tiny_classifier().network
    load_network(run, network, which)
    weights: np.ndarray = network.get_weights()[0]
    return weights


def test_a_restored_state_takes_the_same_next_step(run: RunFolder) -> None:
    first, second = tiny_classifier(value=1.0), tiny_classifier(value=7.0)
    checkpoints = Checkpoints(run, first)
    assert checkpoints.restore_last() == 0
    take_step(first)
    first.metrics.sums.assign([3.0, 1.0, 4.0, 1.0, 0.0])
    checkpoints.save(41, 3, is_best=True)
    assert Checkpoints(run, second).restore_last() == 41
    assert second.metrics.read().loss == 0.75
    take_step(first)
    take_step(second)
    for ours, theirs in zip(
        first.network.variables, second.network.variables, strict=True
    ):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_last_and_best_are_kept_apart_and_one_of_each(run: RunFolder) -> None:
    classifier = tiny_classifier()
    checkpoints = Checkpoints(run, classifier)
    for epoch, is_best in ((1, True), (2, True), (3, False)):
        classifier.network.variables[0].assign(tf.fill([2, 3], float(epoch)))
        checkpoints.save(10 * epoch, epoch, is_best)
    for which, epoch in (("last", 3), ("best", 2)):
        network = tiny_classifier().network
        assert load_network(run, network, which) == epoch
        np.testing.assert_array_equal(network.variables[0].numpy(), epoch)
    assert files_of(run) == {
        *("last/checkpoint", "last/ckpt-30", "best/checkpoint", "best/ckpt-20")
    }


def test_tensorflow_finds_the_state_as_well(run: RunFolder) -> None:
    saved(run, 1.0, step=12)
    folder = run.checkpoints_path("last")
    assert tf.train.latest_checkpoint(str(folder)) == str(latest(folder))
    assert latest(folder) == folder / "ckpt-12"


def test_a_folder_that_tensorflow_has_written_is_read(run: RunFolder) -> None:
    folder = run.checkpoints_path("best")
    network, epoch = tiny_classifier(value=3.0).network, tf.Variable(5, dtype=tf.int64)
    theirs = tf.train.CheckpointManager(
        tf.train.Checkpoint(network=numbered_weights(network), epoch=epoch),
        str(folder),
        max_to_keep=1,
    )
    theirs.save(checkpoint_number=7)
    assert latest(folder) == folder / "ckpt-7"
    np.testing.assert_array_equal(kernel(run, "best"), 3.0)


def test_another_worker_restores_the_chiefs_and_leaves_nothing(run: RunFolder) -> None:
    saved(run, 1.0)
    before = files_of(run)
    worker = Checkpoints(run, tiny_classifier(value=2.0), is_chief=False)
    assert worker.restore_last() == 1
    for step in (2, 3):
        worker.save(step, step, is_best=True)
    assert files_of(run) == before
    assert not tf.io.gfile.exists("ram://state/ckpt.index")
    np.testing.assert_array_equal(kernel(run), 0.5)


def test_every_worker_goes_on_from_the_state_that_the_chief_names(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client of a shared file system may still see what was there before."""
    saved(run, 1.0, step=1)
    pointer = run.checkpoints_path("last") / "checkpoint"
    before = pointer.read_text()
    saved(run, 3.0, step=2)
    pointer.write_text(before)
    worker = Checkpoints(run, tiny_classifier(), is_chief=False)
    assert worker.restore_last(lambda _: "ckpt-2") == 2
    monkeypatch.setattr(alexnet.model.training.checkpoints, "SEEN_SECONDS", 0.0)
    with pytest.raises(RunError, match=r"does not see .*ckpt-7, the state that"):
        worker.restore_last(lambda _: "ckpt-7")


def test_what_killed_saves_left_is_swept_and_nothing_else(run: RunFolder) -> None:
    saved(run, 1.0, step=12)
    before = files_of(run)
    folder = run.checkpoints_path("last")
    for name in (
        "last/ckpt-13_temp/part-00000-of-00001.data-00000-of-00001.tempstate77",
        *("last/ckpt-13.data-00000-of-00001", "last/ckpt-1.index"),
        *("last/ckpt-123.index", "last/checkpoint.tmp0a1b", "best/ckpt-5.index"),
    ):
        stray = folder.parent / name
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"half")
    (folder / "notes.txt").write_text("mine")
    Checkpoints(run, tiny_classifier()).sweep()
    assert files_of(run) == before | {"last/notes"}
    np.testing.assert_array_equal(kernel(run), 0.5)


def test_a_link_is_swept_and_not_what_it_leads_to(
    run: RunFolder, tmp_path: Path
) -> None:
    saved(run, 1.0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    (run.checkpoints_path("last") / "ckpt-9").symlink_to(tmp_path / "mine")
    Checkpoints(run, tiny_classifier()).sweep()
    assert files_of(run) == {
        *("last/checkpoint", "last/ckpt-1", "best/checkpoint", "best/ckpt-1")
    }
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("place", ["../other/ckpt-1", "/etc/ckpt-1", "ckpt-1/../x"])
def test_a_state_elsewhere_is_neither_read_nor_deleted(
    run: RunFolder, tmp_path: Path, place: str
) -> None:
    other = RunFolder(tmp_path / "other")
    saved(other, 5.0)
    saved(run, 1.0)
    pointer = run.checkpoints_path("last") / "checkpoint"
    pointer.write_text(
        f'model_checkpoint_path: "{place}"\nall_model_checkpoint_paths: "{place}"\n'
    )
    for use in (
        lambda: Checkpoints(run, tiny_classifier()).restore_last(),
        lambda: Checkpoints(run, tiny_classifier()).sweep(),
        lambda: load_network(run, tiny_classifier().network, "last"),
    ):
        with pytest.raises(RunError, match=r"names no state of this folder") as error:
            use()
        assert str(pointer) in str(error.value)
    assert len(files_of(other)) == len(files_of(run)) == 4


def test_a_state_is_never_written_over_the_one_that_counts(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch that was cut short is done again; its best is saved once more."""
    saved(run, 1.0, step=8)

    def cut(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(alexnet.model.training.checkpoints, "_point_to", cut)
        saved(run, 2.0, step=8)
    np.testing.assert_array_equal(kernel(run, "best"), 0.5)
    saved(run, 3.0, step=8)
    np.testing.assert_array_equal(kernel(run, "best"), 2.5)
    saved(run, 4.0, step=8)
    np.testing.assert_array_equal(kernel(run), 3.5)
    assert len(files_of(run)) == 4


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("trainable", [True, False])
def test_weights_that_are_no_numbers_are_never_saved(
    run: RunFolder, value: float, trainable: bool
) -> None:
    classifier = tiny_classifier(value=1.0)
    network = classifier.network = keras.Sequential(
        [*classifier.network.layers, keras.layers.BatchNormalization()]
    )
    network(tf.zeros([1, 2]))
    checkpoints = Checkpoints(run, classifier)
    checkpoints.save(3, 1)
    kind = network.trainable_weights if trainable else network.non_trainable_weights
    kind[-1].assign([0.0, value, -value])
    with pytest.raises(RunError, match=r"no numbers any more at step 4; .*ckpt-3 is"):
        checkpoints.save(4, 1, is_best=True)
    assert files_of(run) == {"last/checkpoint", "last/ckpt-3"}


def test_a_run_that_went_astray_names_what_is_kept(run: RunFolder) -> None:
    assert "nothing was saved yet" in str(divergence_error(run, 1, "the loss is nan"))
    saved(run, 1.0, step=12)
    told = str(divergence_error(run, 13, "the loss is nan"))
    assert told.startswith("the loss is nan at step 13; the state of ")
    assert "last/ckpt-12 is kept" in told
    assert "`learning_rate`" in told


def test_a_checkpoint_of_another_network_is_named(run: RunFolder) -> None:
    saved(run, 1.0)
    with pytest.raises(RunError, match="ckpt-1 cannot be restored"):
        Checkpoints(run, tiny_classifier(4)).restore_last()
    with pytest.raises(RunError, match="ckpt-1 does not fit this network"):
        load_network(run, tiny_classifier(4).network)


def test_a_run_without_a_checkpoint_says_so(run: RunFolder) -> None:
    for which in ("best", "last"):
        with pytest.raises(RunError, match="last holds no checkpoint yet"):
            load_network(run, tiny_classifier().network, which)


def test_without_a_validation_the_best_is_the_last(run: RunFolder) -> None:
    classifier = tiny_classifier()
    checkpoints = Checkpoints(run, classifier)
    for epoch in (1, 2):
        classifier.network.variables[0].assign(tf.fill([2, 3], float(epoch)))
        checkpoints.save(10 * epoch, epoch)
    network = tiny_classifier().network
    assert load_network(run, network, "best") == 2
    np.testing.assert_array_equal(network.variables[0].numpy(), 2.0)


def test_a_state_is_on_the_disk_before_it_counts(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files and the folders down to it first; then the file that names it."""
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    monkeypatch.setattr(os, "fsync", fsync)
    Checkpoints(run, tiny_classifier()).save(12, 1)
    files, folders = synced[:2], synced[2:6]
    assert set(files) == {"ckpt-12.index", "ckpt-12.data-00000-of-00001"}
    assert folders == ["last", "checkpoints", "run", run.path.parent.name]
    assert synced[6:] == [".checkpoint.partial", "last"]


def flip(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def shorten(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def overwrite(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data))
    data[place : place + 8] = rng.randbytes(8)


def replace_all(data: bytearray, rng: random.Random) -> None:
    data[:] = rng.randbytes(len(data))


@pytest.mark.parametrize("damage", [flip, slow(shorten), slow(overwrite), replace_all])
def test_damaged_states_are_named_and_never_crash(
    run: RunFolder, damage: Callable[[bytearray, random.Random], None]
) -> None:
    """Each is refused by name, or its damage did not matter."""
    saved(run, 1.0)
    whole = {path: path.read_bytes() for path in latest_files(run)}
    rng = random.Random(damage.__name__)
    refused = 0
    for number in range(40):
        path = rng.choice(sorted(whole))
        data = bytearray(whole[path])
        damage(data, rng)
        path.write_bytes(data)
        try:
            if number % 2:
                assert Checkpoints(run, tiny_classifier()).restore_last() == 1
            else:
                np.testing.assert_array_equal(kernel(run), 0.5)
        except RunError as error:
            refused += 1
            assert str(path.parent) in str(error)
            assert "Traceback" not in str(error)
        path.write_bytes(whole[path])
    assert refused > 30


def latest_files(run: RunFolder) -> list[Path]:
    return list(run.checkpoints_path("last").iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_keeps_the_state_before_and_room_mends_it(small_disk: Path) -> None:
    run = RunFolder(small_disk / "run")
    saved(run, 1.0, step=1)
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", 0) as file:
        while True:
            file.write(bytes(4096))
    with pytest.raises(RunError, match="after step 2 cannot be saved") as error:
        saved(run, 2.0, step=2)
    told = str(error.value)
    assert f"in {run.path}: No space left on device. The one before is kept" in told
    assert f"`alexnet fit --run {run.path} --resume`" in told
    assert len(files_of(run)) == 4
    np.testing.assert_array_equal(kernel(run), 0.5)
    filler.unlink()
    saved(run, 2.0, step=2)
    np.testing.assert_array_equal(kernel(run), 1.5)


def test_a_folder_that_cannot_be_written_is_told(small_disk: Path) -> None:
    run = RunFolder(small_disk / "run")
    saved(run, 1.0, step=1)
    again = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(again, check=True)
    with pytest.raises(RunError, match=r"saved in .*run: .*Read-only file system"):
        saved(run, 2.0, step=2)
    np.testing.assert_array_equal(kernel(run), 0.5)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left", "a/b"), "a/b: No space left"),
        (OSError(28, "No space left"), "No space left"),
        (
            tf.errors.OutOfRangeError(
                None, None, "{{function_node f}} a/b; File too large [Op:SaveV2]\nmore"
            ),
            "a/b; File too large",
        ),
        (ValueError(), "ValueError"),
    ],
)
def test_what_an_error_says_in_a_line(error: Exception, told: str) -> None:
    assert reason(error) == told
