"""Contact sheets: stored images with their labels, or augmented samples of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.pictures import legible, save_figure

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from alexnet.pipeline.config import AugmentConfig
    from alexnet.pipeline.read.example_set import ExampleSet
    from alexnet.pipeline.read.opened_records import OpenedRecords
    from alexnet.pipeline.remote.place import Place

COLUMNS, ROWS = 8, 5
# Room for a line above an image.
CAPTION_INCHES = 0.16
# Signs that fit above an image, at the size they are drawn in.
CAPTION_SIGNS = 22
# Samples of one image side by side, after the image as evaluation sees it.
SAMPLES = COLUMNS - 1


def draw_sheet(
    data: Place,
    out: Path,
    split: str | None = None,
    augment: str | None = None,
    side: int = 227,
    seed: int = 21,
) -> tuple[str, int]:
    """Write a PNG of a split's images, drawn at random; return the split and how many.

    Of a set at a URL they are those of its first shard: records lie at random.

    With `augment`, a row holds one image: as evaluation sees it, then training samples.
    Without `split`, it is train, or the first that has examples.

    Raises:
        DataError: there are no such records, or `out` is in no folder.
    """
    from alexnet.pipeline.read.opened_records import open_records

    if not out.absolute().parent.is_dir():
        raise DataError(
            f"no such folder: {out.parent}. Make it, or choose another `out`"
        )
    records = open_records(data)
    split = split or records.manifest.first_split("train", "validation", "test")
    count = COLUMNS * ROWS if augment is None else ROWS
    stored, captions = _sample(records, split, count, seed)
    shown = len(stored)
    if augment is None:
        images = to_rgb_images(stored)
    else:
        rows = augmented_rows(stored, preset(augment), side, seed)
        images = rows.reshape(-1, side, side, 3)
        captions = [text for name in captions for text in (name, *[""] * SAMPLES)]
    save_figure(draw_grid(images, captions, COLUMNS), out, dpi=100)
    return split, shown


def _sample(
    records: OpenedRecords, split: str, count: int, seed: int
) -> tuple[np.ndarray, list[str]]:
    """Return images as they are stored, and their class names."""
    import numpy as np
    import tensorflow as tf

    from alexnet.pipeline.read.errors import reading
    from alexnet.pipeline.read.lookup import read_records, sample_rows
    from alexnet.pipeline.read.parse import decode, parse

    num_examples = records.manifest.split(split).num_examples
    if records.remote:
        num_examples = records.shards(split)[0].num_examples
    rows = sample_rows(num_examples, count, seed)
    serialised = list(read_records(records, split, rows))
    with reading(records):
        stored, labels = parse(tf.constant(serialised), records.storage)
        images = decode(stored, records.manifest.config)
    names = records.manifest.class_names
    return np.asarray(images), [
        legible(names[label], CAPTION_SIGNS) for label in labels.numpy()
    ]


def to_rgb_images(stored: np.ndarray) -> np.ndarray:
    """Return uint8 [images, S, S, 3] of a batch as read: these, or `yuv420` planes."""
    import numpy as np

    from alexnet.pipeline.records.image import rgb_from_planes

    if stored.ndim == 4:
        return stored
    side = stored.shape[2]
    return np.stack(
        [np.asarray(rgb_from_planes(planes.tobytes(), side)) for planes in stored]
    )


def augmented_samples(
    records: ExampleSet, config: AugmentConfig, side: int, seed: int
) -> np.ndarray:
    """Return `augmented_rows` of the first training images, whatever the set holds.

    Raises:
        DataError: a record or photo cannot be read.
    """
    from alexnet.pipeline.config import ReadConfig
    from alexnet.pipeline.read.dataset import eval_dataset
    from alexnet.pipeline.read.errors import reading

    split = records.manifest.first_split("train", "validation", "test")
    with reading(records):
        dataset = eval_dataset(records, ReadConfig(batch_size=ROWS), split)
        stored, *_ = next(iter(dataset))
    return augmented_rows(stored.numpy(), config, side, seed)


def augmented_rows(
    images: np.ndarray, config: AugmentConfig, side: int, seed: int
) -> np.ndarray:
    """Return uint8 [images, columns, side, side, 3]: a row for each stored image.

    It begins with the image as evaluation sees it; training samples of it follow.
    """
    import numpy as np

    from alexnet.pipeline.augment.augment import (
        augment_batch,
        fold_seed,
        preprocess_batch,
    )

    plain = preprocess_batch(images, config, side).numpy()
    copies = np.repeat(images, SAMPLES, axis=0)
    step_seed = fold_seed(seed, 0)
    drawn = augment_batch(copies, config, side, step_seed, 0, len(copies)).numpy()
    samples = drawn.reshape(-1, SAMPLES, side, side, 3)
    rows = np.concatenate([plain[:, None], samples], axis=1)
    pixels = rows * np.array(config.std) + np.array(config.mean)
    return np.asarray(np.clip(np.round(pixels), 0, 255), np.uint8)


def as_sheet(rows: np.ndarray) -> np.ndarray:
    """Return uint8 [height, width, 3]: rows of images without anything between them."""
    import numpy as np

    num_rows, num_columns, height, width, _ = rows.shape
    lines = rows.swapaxes(1, 2)  # rows, heights, columns, widths, 3
    return np.asarray(lines.reshape(num_rows * height, num_columns * width, 3))


def draw_grid(
    images: np.ndarray,
    captions: list[str],
    columns: int,
    cell_inches: float = 1.5,
    colors: list[str] | None = None,
) -> Figure:
    """Return a grid of uint8 [images, height, width, 3], a caption above each."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = -(-len(images) // columns)
    lines = max(caption.count("\n") + 1 if caption else 0 for caption in captions)
    height = rows * (cell_inches + CAPTION_INCHES * lines)
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03, wspace=0.01, hspace=0.01)
    figure = Figure(figsize=(columns * cell_inches, height), layout=layout)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    colors = colors or ["black"] * len(images)
    cells = zip(axes, images, captions, colors, strict=False)
    for axis, image, caption, color in cells:
        axis.imshow(image)
        axis.set_title(caption, fontsize=8, pad=2, color=color)
    return figure
