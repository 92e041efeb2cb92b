"""`jpeg` records, decoded to the planes that a JPEG holds: half the bytes of RGB.

The device turns them into RGB, as it does with `yuv420` records, whose layout they are
given. What is left out on the host is scaling the chroma up and converting the colours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.records.image import yuv420_planes
from alexnet.pipeline.records.storage import (
    STORAGES,
    JpegStorage,
    StoredImage,
)
from alexnet.pipeline.records.turbojpeg import thread_decompressor

if TYPE_CHECKING:
    import numpy as np


class JpegPlanes(JpegStorage):
    """JPEG squares, delivered as luma, Cb and Cr."""

    limit = "jpeg decode, planes"

    def image_shape(self, side: int) -> tuple[int, ...]:
        """The shape of the planes, which is that of `yuv420`."""
        return STORAGES["yuv420"].image_shape(side)

    def decode(self, image: StoredImage, out: np.ndarray, config: BuildConfig) -> None:
        """Write a stored image to `out`, uint8 [3 S / 2, S].

        Raises:
            ValueError: it cannot be decoded, or has another size.
        """
        import numpy as np

        encoded = np.frombuffer(image, np.uint8)
        if not thread_decompressor().decode(encoded, out):
            np.copyto(out, self._converted(image, config))

    def _converted(self, image: StoredImage, config: BuildConfig) -> np.ndarray:
        """The planes of a JPEG that holds others: grey, or of another sampling."""
        import numpy as np
        from PIL import Image

        rgb = np.empty(super().image_shape(config.side), np.uint8)
        super().decode(image, rgb, config)
        planes = yuv420_planes(Image.fromarray(rgb))
        return np.frombuffer(planes, np.uint8).reshape(self.image_shape(config.side))


JPEG_PLANES = JpegPlanes()
