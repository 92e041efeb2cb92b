"""What the tests share: small photo folders, record sets of them, a trained run."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

# Before any test module imports TensorFlow; no device is initialised here, because
# some tests split the CPU into logical devices.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# As the command does, so that a process of it computes the same.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.pop("TF_CONFIG", None)
# A script's background ignores Ctrl-C; a command that tests stop by it must not.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np
import pytest
from PIL import Image

from alexnet.model.training.progress import Progress
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.records.turbojpeg import LIBRARY_VARIABLE, load_turbojpeg
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.source.scan import scan
from tests.s3 import S3, serve_s3

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

    from alexnet.model.training.history import EpochRecord
    from alexnet.model.training.metrics import Metrics
    from alexnet.model.training.run import RunFolder

NUM_PHOTOS = 24
SIDE = 16

# The smallest network, on records a little larger than its input.
TRAIN_SIDE, IMAGE_SIDE, BATCH = 72, 67, 8
NUM_TRAIN, NUM_HELD_OUT = 30, 10
TINY_NETWORK: dict[str, Any] = {"width": 1 / 16, "image_size": IMAGE_SIDE}
TINY_RUN: dict[str, Any] = {
    **TINY_NETWORK,
    "variant": "bn",
    "batch_size": BATCH,
    "epochs": 2,
}


@pytest.fixture(scope="session", params=["moto"])
def s3(request: pytest.FixtureRequest) -> Iterator[S3]:
    """An S3 service on this machine; its address and credentials are in the env."""
    with serve_s3(request.param) as service:
        yield service


@pytest.fixture
def bucket(s3: S3) -> Location:
    """A new, empty bucket."""
    return s3.make_bucket()


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is remembered of shards goes to no real home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def libturbojpeg() -> Iterator[None]:
    """TurboJPEG's library: the system's, or the one in a wheel of the same name."""
    with pytest.MonkeyPatch.context() as patch:
        wheel = find_spec("turbojpeg")
        if wheel and wheel.origin and LIBRARY_VARIABLE not in os.environ:
            libraries = Path(wheel.origin).parent.glob("turbojpeg.libs/libturbojpeg*")
            patch.setenv(LIBRARY_VARIABLE, str(next(libraries)))
        try:
            load_turbojpeg()
        except ConfigError as error:
            pytest.skip(str(error))
        yield


def slow(*values: object) -> ParameterSet:
    """Values of a parametrised test that the default run leaves out."""
    return pytest.param(*values, marks=pytest.mark.slow)


def soak(*values: object) -> ParameterSet:
    """Values that are left to `make soak`."""
    return pytest.param(*values, marks=pytest.mark.soak)


# For tests of what every S3 service must do for us.
every_s3 = pytest.mark.parametrize("s3", ["moto", slow("rclone")], indirect=True)


def flip(path: Path, place: int, bits: int = 0xFF) -> None:
    """Change a byte of a file where it lies.

    Cut to nothing and written anew, a file that is still mapped ends the process.
    """
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ bits]))


def await_garbage(is_gone: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether what nothing refers to any more went.

    TensorFlow lets go of its last reference in a thread of its own, and a collection
    that another thread has begun makes `gc.collect` here return at once.
    """
    until = time.monotonic() + seconds
    while not is_gone() and time.monotonic() < until:
        gc.collect()
        time.sleep(0.01)
    return is_gone()


def smooth_photo(number: int, width: int, height: int) -> Image.Image:
    """An RGB picture without sharp edges; equal numbers give equal pictures."""
    coarse = np.random.default_rng(number).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture file."""
    with Image.open(path) as picture:
        return picture.size


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders: 12 JPEGs each of cat and dog, in different sizes."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(NUM_PHOTOS):
        path = folder / ("cat", "dog")[number % 2] / f"{number:02d}.jpg"
        path.parent.mkdir(exist_ok=True)
        width, height = 24 + 3 * (number % 7), 24 + 4 * (number % 5)
        smooth_photo(number, width, height).save(path, quality=95)
    return folder


@pytest.fixture(scope="session")
def record_sets(
    photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[StorageName, Path]:
    """A record set of `photos` per storage: 18 examples in 3 shards, 6 held out."""
    folder = tmp_path_factory.mktemp("records")
    source = scan(photos)
    for storage in get_args(StorageName):
        config = BuildConfig(storage=storage, side=SIDE, shards=3)
        build(source, folder / storage, config, workers=1)
    return {storage: folder / storage for storage in get_args(StorageName)}


@pytest.fixture(scope="session")
def train_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `raw` record set to train on: dark cats and bright dogs, 30 and 10 held out."""
    photos = tmp_path_factory.mktemp("train-photos")
    for number in range(NUM_TRAIN + NUM_HELD_OUT):
        is_dog = number % 2
        picture = smooth_photo(number, TRAIN_SIDE, TRAIN_SIDE)
        picture = picture.point(lambda level, dog=is_dog: level // 2 + 120 * dog)
        picture.save(photos / f"{('cat', 'dog')[is_dog]}.{number}.png")
    records = tmp_path_factory.mktemp("train-records") / "records"
    config = BuildConfig(storage="raw", side=TRAIN_SIDE, shards=2)
    build(scan(photos), records, config, workers=1)
    return records


@dataclass
class RecordedProgress(Progress):
    """A Progress that remembers what it was told."""

    starts: list[tuple[int, int]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    epochs: list[EpochRecord] = field(default_factory=list)

    def start(self, first_step: int, total_steps: int) -> None:
        self.starts.append((first_step, total_steps))

    def step(self, step: int, metrics: Metrics) -> None:
        self.steps.append(step)

    def epoch(self, record: EpochRecord, total_epochs: int, gpu: str) -> None:
        self.epochs.append(record)


@pytest.fixture(scope="session")
def trained_run(
    train_records: Path, tmp_path_factory: pytest.TempPathFactory
) -> RunFolder:
    """A run of two epochs on `train_records`; copy it before changing it."""
    from alexnet.model.training.hardware import set_up_hardware
    from alexnet.model.training.plan import plan_training
    from alexnet.model.training.run import RunFolder
    from alexnet.model.training.training import train

    run = RunFolder(tmp_path_factory.mktemp("runs") / "run")
    plan = plan_training(train_records, run, TINY_RUN)
    train(plan, set_up_hardware(plan.config.train), RecordedProgress())
    return run


def pytest_collection_finish() -> None:
    """Search for garbage less often, and not in what is imported by now.

    TensorFlow's graphs are many objects: a tenth of the time went into it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2000, 10, 30)
