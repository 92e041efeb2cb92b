"""The drawn shapes: names, sizes, and shapes as geometry has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alexnet.benchmarks.synthetic import AREA, SHAPES, _mask, write_shapes
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.source.scan import scan
from tests.conftest import picture_size


def read_all(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_build_finds_three_even_classes(tmp_path: Path) -> None:
    write_shapes(tmp_path / "shapes", 12, size=32)
    source = scan(tmp_path / "shapes")
    assert source.class_names == ("circle", "square", "triangle")
    assert [file.label for file in source.files].count(2) == 4
    assert "circle.3.jpg" in read_all(tmp_path / "shapes")
    assert picture_size(tmp_path / "shapes" / "square.0.jpg") == (32, 32)


def test_the_seed_decides_every_picture_and_no_other(tmp_path: Path) -> None:
    for name, num_images, seed in [("a", 9, 1), ("b", 6, 1), ("c", 6, 2)]:
        write_shapes(tmp_path / name, num_images, size=32, seed=seed)
    large, small, other = (read_all(tmp_path / name) for name in "abc")
    assert small.items() <= large.items()
    assert not set(small.values()) & set(other.values())
    assert len(set(large.values())) == 9


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_whole_and_has_its_area(name: str) -> None:
    """Against the distance of its outline from its middle, over twenty draws."""
    for seed in range(20):
        mask = _mask(SHAPES[name], 192, np.random.default_rng(seed))[:, :, 0]
        y, x = np.nonzero(mask > 0.5)
        radius = np.hypot(x - x.mean(), y - y.mean()).max()
        assert AREA[0] - 0.005 < mask.mean() < AREA[1] + 0.01
        # The share of its circumscribed circle that a regular polygon covers.
        covered = {"circle": 1.0, "square": 2 / np.pi, "triangle": 0.4135}[name]
        assert len(x) / (np.pi * radius**2) == pytest.approx(covered, rel=0.08)


@pytest.mark.parametrize(("num_images", "size"), [(0, 32), (3, 8)])
def test_nothing_to_draw_is_refused(tmp_path: Path, num_images: int, size: int) -> None:
    with pytest.raises(ConfigError, match=r"it needs .* or more"):
        write_shapes(tmp_path, num_images, size)
