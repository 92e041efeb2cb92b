"""Several sets mixed in given shares, to train on as on one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alexnet.pipeline.config import READ, ReadConfig, Reader
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.files import name_some
from alexnet.pipeline.read.opened_set import OpenedSet

if TYPE_CHECKING:
    from alexnet.pipeline.read.mixed_batches import MixedBatches
    from alexnet.pipeline.read.selection import Values


@dataclass(frozen=True)
class Mixture:
    """Opened sets, and the share of every batch that each of them gives."""

    sets: tuple[OpenedSet, ...]
    shares: tuple[float, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of all sets: equal names are one class, new ones follow."""
        names = (name for each in self.sets for name in each.manifest.class_names)
        return tuple(dict.fromkeys(names))

    def train(
        self,
        *,
        batch_size: int = READ.batch_size,
        size: int | None = None,
        start_step: int = 0,
        seed: int = READ.seed,
        classes: Sequence[str] | None = None,
        limit: int | None = None,
        keys: bool = False,
        weights: Values | None = None,
        labels: Values | None = None,
        reader: Reader = READ.reader,
        data_service: str | None = None,
    ) -> MixedBatches:
        """Shuffled batches, each of them mixed in the shares, without end.

        Arguments and batches are those of `OpenedSet.train`. Every batch has the same
        number of examples of a set, its share to the nearest (by largest remainder),
        spread over the batch; a set that is through begins its next epoch by itself.
        An epoch of the mixture has as many full batches as there are examples in all.

        Args:
            limit: of every set.

        Raises:
            ConfigError: an argument does not fit the sets, or a set's share of a batch
                is no example.
            DataError: a set has no such examples, or is damaged.
        """
        from alexnet.pipeline.read.mixed_batches import MixedBatches

        names = tuple(self.class_names if classes is None else classes)
        if missing := [name for name in names if name not in self.class_names]:
            raise ConfigError(
                f"`classes` has {name_some(missing)}, and the sets hold"
                f" {name_some(self.class_names)}. Choose among these."
            )
        selections = tuple(
            records.select_train(
                _numbers(records, names), size, limit, keys, weights, labels
            )
            for records in self.sets
        )
        config = ReadConfig(batch_size=batch_size, seed=seed, reader=reader)
        mixed = MixedBatches(
            self.sets,
            self.shares,
            selections,
            config,
            names,
            start_step,
            data_service,
        )
        mixed.require_batches()
        return mixed


def _numbers(records: OpenedSet, names: Sequence[str]) -> dict[str, int]:
    """The label in a mixture of every class that a set has.

    Raises:
        ConfigError: it has none of them.
    """
    numbers = {n: i for i, n in enumerate(names) if n in records.class_names}
    if not numbers:
        raise ConfigError(
            f"{records.place} holds no photos of {name_some(names)}. Leave it out of"
            " the mixture, or choose other `classes`."
        )
    return numbers


def mix(sets: Sequence[tuple[OpenedSet, float]]) -> Mixture:
    """Mix opened sets in shares, such as `[(photos_a, 0.7), (photos_b, 0.3)]`.

    Shares are relative: they need not come to 1. Classes are merged by name, in the
    order in which they first appear.

    Raises:
        ConfigError: the sets cannot be mixed: their squares differ in size or kind, a
            share is not above 0, or there are none.
    """
    if not sets or min(share for _, share in sets) <= 0:
        raise ConfigError("a mixture needs sets with shares above 0")
    shapes: dict[Any, OpenedSet] = {}
    for records, _ in sets:
        side = records.manifest.config.side
        shapes.setdefault(records.storage.image_shape(side), records)
    if len(shapes) > 1:
        held = " and ".join(
            f"{list(shape)} in {records.place}" for shape, records in shapes.items()
        )
        raise ConfigError(
            f"pictures of different shapes cannot be mixed: {held}. Build the sets with"
            " one `side`, and all or none of them with `storage='yuv420'`."
        )
    return Mixture(
        tuple(records for records, _ in sets), tuple(share for _, share in sets)
    )
