"""A contact sheet shows images from all over a split, under their own classes."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import alexnet.pipeline.inspect.contact_sheet
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, ReadConfig, StorageName
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.inspect.contact_sheet import draw_sheet, to_rgb_images
from alexnet.pipeline.read.dataset import eval_dataset
from alexnet.pipeline.read.opened_records import open_records
from alexnet.pipeline.source.scan import scan


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures, in place of their files."""
    figures: list[Figure] = []
    monkeypatch.setattr(
        alexnet.pipeline.inspect.contact_sheet,
        "save_figure",
        lambda figure, *_, **__: figures.append(figure),
    )
    return figures


def images_in(figure: Figure) -> np.ndarray:
    shown = [axis.get_images()[0] for axis in figure.axes if axis.get_images()]
    return np.stack([np.asarray(image.get_array()) for image in shown])


@pytest.mark.parametrize("storage", get_args(StorageName))
def test_every_image_is_the_splits_under_its_class(
    record_sets: dict[StorageName, Path], storage: StorageName, drawn: list[Figure]
) -> None:
    records = open_records(record_sets[storage])
    assert draw_sheet(records.folder, Path("out.png")) == ("train", 18)
    ((images, labels, _),) = list(
        eval_dataset(records, ReadConfig(batch_size=18), "train")
    )
    expected = to_rgb_images(images.numpy())
    shown, places = images_in(drawn[0]), []
    for image, axis in zip(shown, drawn[0].axes, strict=False):
        (place,) = np.flatnonzero((expected == image).all(axis=(1, 2, 3)))
        assert axis.get_title() == records.manifest.class_names[labels[place]]
        places.append(place)
    assert sorted(places) == list(range(18))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of 400 plain pictures of two classes in many shades, in 4 shards."""
    photos = tmp_path_factory.mktemp("many")
    for number in range(400):
        shade = (number % 2, number // 2, 100)
        name = f"{('cat', 'dog')[number % 2]}.{number}.png"
        Image.new("RGB", (16, 16), shade).save(photos / name)
    records = tmp_path_factory.mktemp("many-records") / "records"
    build(
        scan(photos), records, BuildConfig(storage="raw", side=16, shards=4), workers=1
    )
    return records


@pytest.mark.slow
def test_images_come_from_all_over_the_split(many: Path, drawn: list[Figure]) -> None:
    for seed in (1, 1, 2):
        assert draw_sheet(many, Path("out.png"), seed=seed) == ("train", 40)
    first, again, other = map(images_in, drawn)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    ((images, _, _),) = list(
        eval_dataset(open_records(many), ReadConfig(batch_size=300), "train")
    )
    pictures = {image.tobytes(): row for row, image in enumerate(images.numpy())}
    rows = [pictures[image.tobytes()] for image in first]
    assert len(set(rows)) == 40
    # Of the four shards of 75, each has about ten.
    assert min(np.bincount(np.array(rows) // 75, minlength=4)) >= 4
    assert rows != sorted(rows)


def test_a_set_without_a_train_split_shows_what_it_has(
    photos: Path, tmp_path: Path
) -> None:
    config = BuildConfig(storage="raw", side=16, validation_fraction=1.0)
    build(scan(photos), tmp_path / "records", config, workers=1)
    out = tmp_path / "sheet.png"
    assert draw_sheet(tmp_path / "records", out) == ("validation", 24)
    with pytest.raises(DataError, match=r"no test examples \(they have: validation"):
        draw_sheet(tmp_path / "records", out, "test")
