"""Views of a picture against crops and mirror images made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.augment.views import evaluation_views
from alexnet.pipeline.errors import ConfigError

STORED, SIDE = 32, 29  # a margin that has no middle
RNG = np.random.default_rng(7)
IMAGES = RNG.integers(0, 256, (4, STORED, STORED, 3), dtype=np.uint8)
PAPER = preset("paper")


def cropped(top: int, left: int) -> np.ndarray:
    window = IMAGES[:, top : top + SIDE, left : left + SIDE].astype(np.float32)
    return (window - np.array(PAPER.mean, np.float32)) / np.array(PAPER.std, np.float32)


# All of them show a picture's centre where nothing is random.
@pytest.mark.parametrize("name", ["paper", "modern", "trivial", "none"])
@pytest.mark.parametrize(
    ("tta", "places"),
    [
        ("none", [(1, 1)]),
        ("flip", [(1, 1)]),
        ("ten-crop", [(1, 1), (0, 0), (0, 3), (3, 0), (3, 3)]),
    ],
)
def test_views_are_crops_and_then_their_mirror_images(
    name: str, tta: Any, places: list[tuple[int, int]]
) -> None:
    expected = [cropped(*place) for place in places]
    if tta != "none":
        expected += [view[:, :, ::-1] for view in expected]
    views = evaluation_views(IMAGES, preset(name), SIDE, tta)
    np.testing.assert_allclose(np.stack(views), np.stack(expected), atol=1e-5)


@pytest.mark.parametrize(("name", "side"), [("article", SIDE), ("paper", STORED)])
def test_a_whole_picture_has_no_corners(name: str, side: int) -> None:
    with pytest.raises(ConfigError, match=rf"{side} px of 32 px. `tta='flip'` mirrors"):
        evaluation_views(IMAGES, preset(name), side, "ten-crop")
    assert len(evaluation_views(IMAGES, preset(name), side, "flip")) == 2
