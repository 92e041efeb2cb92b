"""Photos of every kind against Pillow done another way and against arithmetic."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from alexnet.pipeline.config import Resize
from alexnet.pipeline.errors import BadImage
from alexnet.pipeline.records.image import (
    orientation,
    read_image,
    rgb_from_planes,
    to_square,
    yuv420_planes,
)
from tests.conftest import smooth_photo
from tests.pipeline.odd_photos import png, saved, three

PHOTO = smooth_photo(1, 40, 24)
RGB = np.asarray(PHOTO)


def tagged(image: Image.Image, turn: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turn
    return saved(image, "PNG", exif=exif)


def distance(image: Image.Image, expected: np.ndarray | Image.Image) -> float:
    """The largest difference of a pixel value."""
    assert image.mode == "RGB"
    return np.abs(np.asarray(image, float) - np.asarray(expected, float)).max()


@pytest.mark.parametrize("resize", ["crop", "squash"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_rotation(turn: int, resize: Resize) -> None:
    data = tagged(PHOTO, turn)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if resize == "crop":
        expected = ImageOps.fit(upright, (12, 12), Image.Resampling.BICUBIC)
    else:
        expected = upright.resize((12, 12), Image.Resampling.BICUBIC)
    assert orientation(read_image(data)) == turn
    assert distance(to_square(read_image(data), 12, resize), expected) <= 1


@pytest.mark.parametrize("resize", ["crop", "squash"])
@pytest.mark.parametrize("size", [(100, 60), (60, 100), (61, 100), (80, 80), (21, 33)])
def test_a_square_samples_where_it_should(
    size: tuple[int, int], resize: Resize
) -> None:
    width, height = size
    side = 20
    ramp = np.zeros((height, width, 3), np.uint8)
    ramp[..., 0] = 2 * np.arange(width)
    ramp[..., 1] = 2 * np.arange(height)[:, None]
    found = np.asarray(to_square(Image.fromarray(ramp), side, resize), float)
    # A ramp keeps its values wherever it is sampled, away from the picture's edges.
    extents = (min(size), min(size)) if resize == "crop" else size
    for channel, (whole, part) in enumerate(zip(size, extents, strict=True)):
        centre = (np.arange(side) + 0.5) * part / side - 0.5
        expected = 2 * (centre + (whole - part) / 2)
        row = found[10, :, 0] if channel == 0 else found[:, 10, 1]
        np.testing.assert_allclose(row[3:-3], expected[3:-3], atol=1)


def test_a_square_of_the_right_size_is_untouched() -> None:
    image = smooth_photo(2, 16, 16)
    assert distance(to_square(image, 16, "crop"), image) == 0


def test_a_large_jpeg_is_decoded_at_a_fraction_and_looks_the_same() -> None:
    data = saved(smooth_photo(3, 900, 640), "JPEG", quality=95)
    draft, full = read_image(data, 64), read_image(data)
    assert full.size == (900, 640)
    assert 128 <= min(draft.size) < 256
    assert distance(to_square(draft, 64, "crop"), to_square(full, 64, "crop")) <= 3


def test_a_drafted_jpeg_keeps_its_rotation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(smooth_photo(3, 640, 480), "JPEG", quality=95, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    expected = ImageOps.fit(upright, (32, 32), Image.Resampling.BICUBIC)
    assert distance(to_square(read_image(data, 32), 32, "crop"), expected) <= 3


def test_what_has_too_many_pixels_is_refused_by_its_header() -> None:
    with pytest.raises(BadImage, match="201640000 pixels"):
        read_image(png(14_200, 14_200, 8, 2, b""))


@pytest.mark.parametrize(
    ("kind", "highest", "white"),
    [
        *(("f4", 0, 1), ("f4", 1, 1), ("f4", 1.01, None), ("f4", 127, None)),
        *(("f4", 128, 255), ("f4", 255, 255), ("f4", 256, None), ("f4", np.inf, None)),
        *(("i4", 1, 255), ("i4", 255, 255), ("i4", 256, None), ("i4", 32_767, None)),
        *(("i4", 32_768, 65_535), ("i4", 65_535, 65_535), ("i4", 65_536, None)),
    ],
)
def test_white_is_told_by_the_range_or_not_at_all(
    kind: str, highest: float, white: int | None
) -> None:
    data = saved(Image.fromarray(np.array([[0, highest]], kind)), "TIFF")
    if white is None:
        with pytest.raises(BadImage, match="do not tell what is white"):
            read_image(data)
    else:
        grey = np.asarray(read_image(data))
        assert grey.tolist() == [[0, int(highest * 255 / white + 0.5)]]


@pytest.mark.parametrize("depth", [4, 8, 16])
def test_every_grey_of_a_pgm_is_scaled(depth: int) -> None:
    white = 2**depth - 1
    levels = np.linspace(0, white, 256).round().astype(">u2" if depth > 8 else "u1")
    data = f"P5 256 1 {white}\n".encode() + levels.tobytes()
    expected = levels.astype(float) * 255 / white
    assert np.abs(np.asarray(read_image(data))[0] - expected).max() <= 0.51


@pytest.mark.parametrize(("magic", "white"), [("P2", 255), ("P5", 254), ("P6", 1023)])
def test_what_is_decoded_slowly_may_have_fewer_pixels(magic: str, white: int) -> None:
    data = f"{magic} 33333334 1 {white}\n".encode()
    with pytest.raises(BadImage, match=r"too large: 33333334 .* at most 33333333 are"):
        read_image(data)
    with pytest.raises(BadImage, match=r"cannot be decoded: .*truncated"):
        read_image(b"P5 33333334 1 255\n")


# ITU-T T.871, section 7: Y, Cb and Cr of R, G and B.
YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.299, -0.587, 0.886], [0.701, -0.587, -0.114]]
)
YCBCR /= np.array([1, 1.772, 1.402])[:, None]


def planes_of(stored: bytes, side: int) -> list[np.ndarray]:
    """Luma, Cb and Cr as they follow one another."""
    flat, half = np.frombuffer(stored, np.uint8).astype(float), side // 2
    luma, cb, cr = np.split(flat, [side**2, side**2 + half**2])
    return [luma.reshape(side, side), cb.reshape(half, half), cr.reshape(half, half)]


def test_planes_are_jpegs_ycbcr() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    stored = yuv420_planes(Image.fromarray(noise))
    assert len(stored) == 32 * 32 * 3 / 2
    luma, *chroma = planes_of(stored, 32)
    exact = noise @ YCBCR.T + [0, 128, 128]
    np.testing.assert_allclose(luma, exact[..., 0], atol=0.51)
    # Fractions are rounded: cut off, the picture would be half a level darker.
    assert abs((luma - exact[..., 0]).mean()) < 0.05
    means = exact[..., 1:].reshape(16, 2, 16, 2, 2).mean(axis=(1, 3))
    for plane, expected in zip(chroma, np.moveaxis(means, -1, 0), strict=True):
        np.testing.assert_allclose(plane, expected, atol=1.01)
        assert abs((plane - expected).mean()) < 0.2


def test_greys_come_back_as_they_were() -> None:
    greys = three(np.arange(256, dtype=np.uint8).reshape(16, 16))
    stored = yuv420_planes(Image.fromarray(greys))
    assert distance(rgb_from_planes(stored, 16), greys) == 0


def test_planes_come_back_with_chroma_between_their_pixels() -> None:
    photo = smooth_photo(3, 24, 24).point(lambda level: 80 + level // 3)
    stored = yuv420_planes(photo)
    luma, *chroma = planes_of(stored, 24)
    at = (np.arange(24) + 0.5) / 2 - 0.5
    weights = np.stack([np.interp(at, np.arange(12), one) for one in np.eye(12)])
    scaled = [weights.T @ (plane - 128) @ weights for plane in chroma]
    expected = np.stack([luma, *scaled], axis=-1) @ np.linalg.inv(YCBCR).T
    # Pillow rounds chroma twice and pixels once: 1.772 levels of blue and a half.
    assert distance(rgb_from_planes(stored, 24), expected) <= 2.3
    assert distance(photo, expected) <= 8
