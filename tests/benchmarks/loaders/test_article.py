"""The article's generator: its settings, its files, and what it needs."""

from __future__ import annotations

import importlib.util
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alexnet.benchmarks.limits import stored_photos
from alexnet.benchmarks.loaders.article import (
    article,
    article_generator,
    plan_article,
    source_files,
    write_photos,
)
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.opened_records import open_records
from tests.conftest import picture_size


def image_bytes(color: tuple[int, int, int], image_format: str = "JPEG") -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (20, 16), color).save(encoded, image_format)
    return encoded.getvalue()


def test_photos_are_written_as_they_are_stored(tmp_path: Path) -> None:
    red, blue = image_bytes((255, 0, 0)), image_bytes((0, 0, 255), "PNG")
    files = write_photos([(red, 1), (blue, 0)], tmp_path)
    assert files == [("1.0.jpg", "1"), ("0.1.png", "0")]
    assert [(tmp_path / name).read_bytes() for name, _ in files] == [red, blue]


def test_the_generator_is_the_articles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Batches as its log shows them: 32 of 227 x 227, in [0, 1], one-hot labels."""
    colors = [(255, 0, 0), (0, 0, 255)]
    photos = [(image_bytes(colors[n % 2]), n % 2) for n in range(33)]
    generator = article_generator(tmp_path, write_photos(photos, tmp_path))
    images, labels = next(generator)
    assert images.shape == (32, 227, 227, 3)
    assert labels.shape == (32, 2)
    assert 0.9 < images.max() <= 1
    # A photo of one colour stays so, whatever the geometry: fill is 'nearest'.
    np.testing.assert_allclose(np.ptp(images, axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_array_equal(images[:, 0, 0, 0] > 0.5, labels[:, 0] == 1)
    settings = generator.image_data_generator
    assert settings.zoom_range == [0.8, 1.5]
    assert (settings.rotation_range, settings.shear_range) == (30, 0.2)
    assert (settings.width_shift_range, settings.height_shift_range) == (0.3, 0.3)
    assert settings.horizontal_flip
    assert settings.vertical_flip
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("storage", ["jpeg", "raw", "yuv420", "original"])
def test_deliveries_count_all_photos_and_leave_no_files(
    record_sets: dict[StorageName, Path],
    storage: StorageName,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """18 train photos make one batch, of which nothing is dropped."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    deliveries = article(open_records(record_sets[storage]))
    assert [next(deliveries), next(deliveries)] == [18, 18]
    written = list(tmp_path.glob("alexnet-article-*/*"))
    assert len(written) == 18
    sizes = set(map(picture_size, written))
    assert (sizes == {(16, 16)}) == (storage != "original")
    deliveries.close()
    assert not list(tmp_path.glob("alexnet-article-*"))


@pytest.mark.parametrize("storage", ["raw", "yuv420"])
def test_pixels_become_jpegs_of_the_same_picture(
    record_sets: dict[StorageName, Path], storage: StorageName
) -> None:
    """Against the pixels that the storage `raw` keeps of the same photos."""
    files = source_files(open_records(record_sets[storage]), 5)
    pixels = stored_photos(open_records(record_sets["raw"]), 5)
    for (file, label), (expected, expected_label) in zip(files, pixels, strict=True):
        found = np.asarray(Image.open(io.BytesIO(file)), np.float32)
        raw = np.frombuffer(expected, np.uint8).reshape(16, 16, 3)
        assert np.abs(found - raw).mean() < 12
        assert label == expected_label


def test_a_missing_package_is_named_with_the_extra(
    record_sets: dict[StorageName, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec

    def without_pandas(name: str, *rest: Any) -> Any:
        return None if name == "pandas" else found(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without_pandas)
    with pytest.raises(ConfigError, match=r"needs pandas.*'alexnet\[article\]'"):
        plan_article(open_records(record_sets["jpeg"]))
