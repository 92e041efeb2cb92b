"""The figures of yuv420 against JPEG, computed once more by NumPy."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.benchmarks.scripts import yuv420_psnr
from alexnet.benchmarks.scripts.yuv420_psnr import (
    SIDE,
    main,
    psnr,
    squares,
    through_jpeg,
    through_yuv420,
)
from alexnet.pipeline.errors import DataError
from tests.conftest import NUM_PHOTOS


def decibels(image: Image.Image, original: Image.Image) -> float:
    error = np.square(np.asarray(image, float) - np.asarray(original, float)).mean()
    return float(10 * np.log10(255**2 / error))


def test_psnr_is_numpys() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 8, 6, 3), np.uint8)
    one, other = (Image.fromarray(image) for image in noise)
    assert psnr(one, other) == pytest.approx(decibels(one, other))
    assert psnr(one, one) == math.inf


@pytest.mark.parametrize(("count", "taken"), [(1, 1), (5, 5), (100, NUM_PHOTOS)])
def test_as_many_squares_as_asked_for(photos: Path, count: int, taken: int) -> None:
    sizes = [image.size for image in squares(photos, count)]
    assert sizes == taken * [(SIDE, SIDE)]


def test_squares_come_from_all_along_the_source(photos: Path) -> None:
    """Of two, the first is a cat and the second the first dog."""
    every = list(squares(photos, NUM_PHOTOS))
    assert list(squares(photos, 2)) == [every[0], every[NUM_PHOTOS // 2]]


def test_the_figures_are_those_of_numpy(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(photos), "--count", "5"])
    printed = capsys.readouterr().out
    taken = list(squares(photos, 5))
    ours = [decibels(through_yuv420(image), image) for image in taken]
    theirs = [decibels(through_jpeg(image), image) for image in taken]
    share = np.mean(np.array(ours) >= theirs)
    assert re.findall(r"([\d.]+) dB", printed) == [
        f"{np.median(values):.1f}" for values in (ours, theirs)
    ]
    assert printed.startswith("5 photos") and f"good  {share:.0%}" in printed


def test_medians_and_share_are_printed(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = iter([40.0, 41.0, 50.0, 45.0, 60.0, 60.0, 42.0, 70.0, 43.0, 44.0])
    monkeypatch.setattr(yuv420_psnr, "psnr", lambda image, original: next(figures))
    main([str(photos), "--count", "5"])
    printed = capsys.readouterr().out
    assert re.findall(r"([\d.]+) dB", printed) == ["43.0", "45.0"]
    assert "at least as good  40%" in printed


def test_jpeg_keeps_chroma_at_half_the_side() -> None:
    """A chequerboard of red and cyan pixels, of even grey, loses all of its colour."""
    board = np.indices((16, 16)).sum(axis=0) % 2 == 0
    red, cyan = (180, 60, 60), (43, 119, 119)
    pixels = np.where(board[..., None], red, cyan).astype(np.uint8)
    for through in (through_jpeg, through_yuv420):
        spread = np.ptp(np.asarray(through(Image.fromarray(pixels)), int), axis=-1)
        assert spread.max() <= 35


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        main([str(tmp_path / "gone")])
