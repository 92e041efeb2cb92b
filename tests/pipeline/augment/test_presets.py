"""The presets' names and figures, as the article and the papers give them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from alexnet.pipeline.augment.presets import PRESETS, preset
from alexnet.pipeline.config import AugmentConfig
from alexnet.pipeline.errors import ConfigError


def test_names() -> None:
    assert list(PRESETS) == ["article", "paper", "modern", "trivial", "none"]
    assert preset("paper") is PRESETS["paper"]


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"'papper'.* modern, trivial, none"):
        preset("papper")


def test_article_is_the_generators_arguments() -> None:
    assert preset("article") == AugmentConfig(
        geometry="whole",
        rotation_degrees=30,
        shift_x=0.3,
        shift_y=0.3,
        shear_degrees=0.2,
        zoom=(0.8, 1.5),
        flip_horizontal=True,
        flip_vertical=True,
        mean=(0, 0, 0),
        std=(255, 255, 255),
    )


def test_paper_crops_reflects_and_lights() -> None:
    paper = preset("paper")
    assert (paper.geometry, paper.lighting) == ("crop", 0.1)
    assert paper.flip_horizontal and not paper.flip_vertical


@pytest.mark.parametrize("name", ["paper", "modern", "trivial", "none"])
def test_imagenet_statistics(name: str) -> None:
    mean, std = preset(name).mean, preset(name).std
    assert [m / 255 for m in mean] == pytest.approx([0.485, 0.456, 0.406])
    assert [s / 255 for s in std] == pytest.approx([0.229, 0.224, 0.225])


def test_none_is_the_centre_crop_and_the_statistics() -> None:
    none = preset("none")
    assert none == AugmentConfig(geometry="centre", mean=none.mean, std=none.std)


@pytest.mark.parametrize("name", PRESETS)
def test_json_and_back(name: str) -> None:
    assert AugmentConfig.from_json(preset(name).to_json()) == preset(name)


def test_presets_import_nothing_heavy() -> None:
    code = (
        "import sys, alexnet.pipeline.augment.presets;"
        " print({'tensorflow', 'numpy'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
