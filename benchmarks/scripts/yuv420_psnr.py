"""Measure the loss of `yuv420`, beside that of JPEG.

`python -m alexnet.benchmarks.scripts.yuv420_psnr PHOTOS` compares photos' squares as
records hold them with what comes back of their planes, and of a JPEG file with chroma
of half the side as well (4:2:0).
"""

from __future__ import annotations

import io
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from math import inf, log10
from pathlib import Path
from statistics import mean, median

from PIL import Image, ImageChops, ImageStat

from alexnet.pipeline.config import BUILD
from alexnet.pipeline.records.image import (
    read_image,
    rgb_from_planes,
    to_square,
    yuv420_planes,
)
from alexnet.pipeline.source.scan import scan

SIDE = BUILD.side
JPEG_QUALITY = 95


def squares(photos: Path, count: int) -> Iterator[Image.Image]:
    """Yield RGB [SIDE, SIDE] of `count` photos, all along the sorted source.

    Raises:
        DataError: there are no photos.
        BadImage: one cannot be used.
    """
    source = scan(photos)
    step = max(1, len(source.files) // count)
    for file in source.files[::step][:count]:
        yield to_square(read_image(source.store.read(file.key), SIDE), SIDE, "crop")


def through_yuv420(image: Image.Image) -> Image.Image:
    """Return the square as it comes back from its planes."""
    return rgb_from_planes(yuv420_planes(image), image.width)


def through_jpeg(image: Image.Image) -> Image.Image:
    """Return the square as it comes back from a JPEG file."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0")
    return Image.open(file).convert("RGB")


def psnr(image: Image.Image, original: Image.Image) -> float:
    """Return the peak signal-to-noise ratio over all channels, in dB."""
    error = mean(ImageStat.Stat(ImageChops.difference(image, original)).sum2)
    pixels = image.width * image.height
    return 10 * log10(255**2 * pixels / error) if error else inf


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both medians, and how often yuv420 is at least as good."""
    parser = ArgumentParser(
        "python -m alexnet.benchmarks.scripts.yuv420_psnr", description=__doc__
    )
    parser.add_argument("photos", type=Path, help="folder, CSV, zip or tar of photos")
    parser.add_argument("--count", type=int, default=64, help="how many to take")
    options = parser.parse_args(arguments)
    pairs = [
        (psnr(through_yuv420(image), image), psnr(through_jpeg(image), image))
        for image in squares(options.photos, options.count)
    ]
    ours, theirs = zip(*pairs, strict=True)
    print(f"{len(pairs)} photos at {SIDE} px, median PSNR against the RGB square")
    print(f"yuv420                   {median(ours):.1f} dB")
    print(f"JPEG 4:2:0, quality {JPEG_QUALITY}   {median(theirs):.1f} dB")
    print(f"yuv420 at least as good  {mean(a >= b for a, b in pairs):.0%}")


if __name__ == "__main__":
    main()
