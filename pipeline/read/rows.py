"""The rows of a split: its examples, fetched by number."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import tensorflow as tf

    from alexnet.pipeline.read.photo_arrivals import PhotoArrivals


class Rows(Protocol):
    """A split whose examples are fetched by number."""

    # The name of fetching among the pipeline's stages.
    stage: str
    # Whether one call keeps every CPU busy by itself.
    uses_all_cpus: bool

    @property
    def arrivals(self) -> PhotoArrivals | None:
        """Photos that arrive before their batch is fetched; None where all are here.

        The last tensor that is lent keeps this object alive.
        """

    @property
    def prepare(self) -> Callable[[], bool] | None:
        """The function to call before `fetch` until it returns True; or None."""

    def lend(self) -> tuple[tf.Tensor, ...]:
        """Return the tensors for `fetch`: those it reads, or that keep its data alive.

        The last one keeps these rows themselves alive where they have to be prepared.
        """

    def fetch(self, rows: tf.Tensor, *lent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """A uint8 batch and int64 [batch] labels, of rows, int [batch]."""
