"""Contact sheets: stored images with their labels, or augmented samples of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.files import atomic_path

if TYPE_CHECKING:
    import numpy as np

COLUMNS, ROWS = 8, 5
# Samples of one image side by side, after the image as evaluation sees it.
SAMPLES = COLUMNS - 1


def draw_sheet(
    data: Path,
    out: Path,
    split: str,
    augment: str | None = None,
    side: int = 227,
    seed: int = 21,
) -> int:
    """Write a PNG of a split's first images; return how many stored images it shows.

    With `augment`, a row holds one image: as evaluation sees it, then training samples.

    Raises:
        DataError: there are no such records, or `out` is in no folder.
    """
    if not out.absolute().parent.is_dir():
        raise DataError(
            f"no such folder: {out.parent}. Make it, or choose another --out"
        )
    count = COLUMNS * ROWS if augment is None else ROWS
    stored, titles = _first_images(data, split, count)
    shown = len(stored)
    if augment is None:
        images = to_rgb_images(stored)
    else:
        images, titles = _augmented(stored, titles, augment, side, seed)
    save_grid(images, titles, COLUMNS, out)
    return shown


def _first_images(data: Path, split: str, count: int) -> tuple[np.ndarray, list[str]]:
    import numpy as np

    from pipeline.blame import reading
    from pipeline.config import ReadConfig
    from pipeline.dataset import eval_dataset
    from pipeline.reader import open_records

    records = open_records(data)
    count = min(count, records.manifest.split(split).num_examples)
    batches = eval_dataset(records, ReadConfig(batch_size=count), split)
    with reading(records):
        images, labels, _ = next(iter(batches))
    names = records.manifest.class_names
    return np.asarray(images), [names[label] for label in labels.numpy()]


def to_rgb_images(stored: np.ndarray) -> np.ndarray:
    """uint8 [images, S, S, 3] of a batch as it is read: those, or `yuv420` planes."""
    import numpy as np

    from pipeline.pixels import rgb_from_planes

    if stored.ndim == 4:
        return stored
    side = stored.shape[2]
    return np.stack(
        [np.asarray(rgb_from_planes(planes.tobytes(), side)) for planes in stored]
    )


def _augmented(
    images: np.ndarray, titles: list[str], augment: str, side: int, seed: int
) -> tuple[np.ndarray, list[str]]:
    import numpy as np

    from pipeline.augment import eval_view, fold, train_view
    from pipeline.presets import preset

    config = preset(augment)
    plain = eval_view(images, config, side).numpy()
    copies = np.repeat(images, SAMPLES, axis=0)
    drawn = train_view(copies, config, side, fold(seed, 0), 0, len(copies)).numpy()
    rows = np.concatenate(
        [plain[:, None], drawn.reshape(-1, SAMPLES, side, side, 3)], axis=1
    ).reshape(-1, side, side, 3)
    pixels = rows * np.array(config.std) + np.array(config.mean)
    row_titles = [[title, *[""] * SAMPLES] for title in titles]
    return (
        np.clip(np.round(pixels), 0, 255).astype(np.uint8),
        [title for row in row_titles for title in row],
    )


def save_grid(
    images: np.ndarray,
    titles: list[str],
    columns: int,
    out: Path,
    cell_inches: float = 1.5,
) -> None:
    """Write uint8 [images, height, width, 3] as a PNG grid, a title above each."""
    from matplotlib.figure import Figure

    rows = -(-len(images) // columns)
    figure = Figure(figsize=(columns * cell_inches, rows * (cell_inches + 0.25)))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, image, title in zip(axes, images, titles, strict=False):
        axis.imshow(image)
        axis.set_title(title, fontsize=8, pad=2)
    figure.tight_layout(pad=0.3)
    with atomic_path(out) as partial:
        figure.savefig(partial, format="png", dpi=100)
