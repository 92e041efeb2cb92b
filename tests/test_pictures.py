"""Any name can stand in a picture, and each picture says whose it is."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alexnet.benchmarks.input_pipeline.ladder_plot import draw_ladder
from alexnet.benchmarks.scripts.plot_runs import draw_runs
from alexnet.model.results.gallery import Example, plot_examples
from alexnet.model.results.plots import plot_confusion, plot_curves, plot_filters
from alexnet.model.results.scores import Scores
from alexnet.model.training.history import EpochRecord
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.inspect.contact_sheet import draw_grid
from alexnet.pipeline.pictures import OWN_PICTURE, legible, save_figure
from alexnet.pipeline.read.image_folder import PhotoSet
from alexnet.pipeline.records.manifest import Manifest, SplitCard
from alexnet.pipeline.source.scan import ImageFile
from alexnet.pipeline.source.stores import FolderStore
from tests.benchmarks.conftest import MADE_UP

NAMES = (
    *("$5", "Ba$$in", "a_b^c", "\\frac", "$\\frac{1}$", "100 %", "{}", "_hidden"),
    os.fsdecode(b"caf\xe9"),
    *("two\nlines", "bell\a", "nul\0", "\u202eright to left", "\ue000", "\ud800"),
    *("猫", "🐈", "قطة", "חתול", "बिल्ली", "x" * 300, " ", "%s"),
)
EPOCH = EpochRecord(1, 5, 0.1, 0.7, 0.5, 0.6, 0.55, 1.0, 0.0, 1.0)


def tried_scores() -> Scores:
    scores = Scores(NAMES)
    scores.add(np.arange(len(NAMES)), np.eye(len(NAMES)))
    return scores


def draw_examples(path: Path) -> None:
    """Examples whose files and classes have the names."""
    files = tuple(ImageFile(f"{name}/{name}", i, 1) for i, name in enumerate(NAMES))
    splits = {"validation": SplitCard((), (1,) * len(NAMES))}
    manifest = Manifest(BuildConfig(storage="original", side=8), NAMES, splits, 0, "")
    store: Any = FolderStore(path)
    photos = PhotoSet(path, manifest, store, {"validation": files})
    image = np.zeros((8, 8, 3), np.uint8)
    examples = [Example(i, image, i, i // 2, 0.5) for i in range(len(NAMES))]
    plot_examples(examples, photos, "validation", path / "examples.png")


DRAWN: dict[str, Callable[[Path], object]] = {
    "examples": draw_examples,
    "confusion-$5": lambda path: plot_confusion(tried_scores(), "$5", path),
    "curves": lambda path: plot_curves([EPOCH], path / "curves.png"),
    "filters": lambda path: plot_filters(np.ones((3, 3, 3, 8)), path / "filters.png"),
    "ladder": lambda path: draw_ladder(MADE_UP, path / "ladder.png"),
    "grid": lambda path: save_figure(
        draw_grid(np.zeros((24, 4, 4, 3), np.uint8), list(map(legible, NAMES)), 8),
        path / "grid.png",
    ),
}


@pytest.mark.parametrize("name", DRAWN)
def test_any_name_is_drawn_without_a_word_and_marked_as_ours(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        "matplotlib.mathtext.MathTextParser.parse",
        lambda *text, **_: pytest.fail(f"taken for a formula: {text}"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DRAWN[name](tmp_path)
    assert capfd.readouterr() == ("", "")
    (picture,) = tmp_path.iterdir()
    assert picture.name == f"{name}.png"
    assert OWN_PICTURE in picture.read_bytes()[:256]
    with Image.open(picture) as image:
        image.load()
        assert image.info["Software"] == "alexnet"
        assert max(image.size) < 3000


def test_any_run_name_is_drawn(trained_run: RunFolder, tmp_path: Path) -> None:
    run = shutil.copytree(trained_run.path, tmp_path / "$5 a_b^c \\frac{")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_runs([RunFolder(Path(run))], tmp_path / "runs.png")
    assert OWN_PICTURE in (tmp_path / "runs.png").read_bytes()[:256]
