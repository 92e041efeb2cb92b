"""An opened set: what one trains on, and how its batches are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from alexnet.pipeline.config import READ, Decode, ReadConfig, Reader
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.notebook import html_table
from alexnet.pipeline.read.example_set import ExampleSet
from alexnet.pipeline.setting import require

if TYPE_CHECKING:
    from alexnet.pipeline.read.batches import EvalBatches, TrainBatches
    from alexnet.pipeline.read.selection import Selection, Values

_Set = TypeVar("_Set", bound="OpenedSet")


class OpenedSet(ExampleSet):
    """A record set, or photos as they are, that batches are made of.

    It is a context manager, which closes it. Nothing is held between two calls: shards
    are mapped for as long as a dataset, or an iterator of one, reads them.
    """

    def _repr_html_(self) -> str:
        splits = self.manifest.splits
        columns = ["class", *splits]
        counts = zip(*(card.class_counts for card in splits.values()), strict=True)
        rows = [
            [name, *row] for name, row in zip(self.class_names, counts, strict=True)
        ]
        totals = [card.num_examples for card in splits.values()]
        config = self.manifest.config
        title = f"{self.kind} in {self.place}: {config.storage}, {config.side} px"
        return html_table(title, columns, [["all", *totals], *rows])

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; a label is a place among them."""
        return self.manifest.class_names

    def decoded_as(self: _Set, decode: Decode) -> _Set:
        """Return the set with its JPEGs decoded to RGB, or to their own planes.

        Raises:
            ConfigError: there are no such planes.
        """
        stored = self.manifest.config
        needs = (
            f"'rgb' for {self.place}, which holds {stored.storage}, {stored.side} px:"
            " 'planes' is for `jpeg` records of an even side"
        )
        require(decode == "rgb", "decode", decode, needs)
        return self

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
    ) -> TrainBatches:
        """Shuffled batches of the train split, without end: `TrainBatches`.

        Args:
            batch_size: images in a global batch, over all replicas.
            size: the side in pixels that augmentation will cut from the stored square,
                which is checked to be large enough; what is delivered is the square.
            start_step: the step to begin at, such as the optimizer's: the batches are
                those that come after so many in a run from step 0.
            seed: decides the order of every epoch.
            classes: names of the only classes to read; labels are places in this list.
            limit: read only the first so many examples (of `classes`). Records lie in
                an order that is random but fixed, so these are a random sample, and
                part of any larger one; their classes are not balanced.
            keys: also yield each photo's key, its path below the source, behind all
                else. It is for loops of one's own: Keras takes what comes third for
                weights.
            weights: sample weights: a mapping from key to number, or a function of the
                key.
            labels: other targets, in place of class numbers: a number or a vector of
                one length for each key, as a mapping or a function.
            reader: `stream`, `mmap`, or `stream-first`, which streams the first epoch
                and maps the others; `auto` picks the faster way.
            data_service: HOST:PORT of a dispatcher, as `alexnet data-service` starts
                one, whose workers make the batches: those of `mmap`, in their order.

        `keys`, `weights` and `labels` read the keys of the whole split in this call,
        tens of microseconds each, and functions are called here, once for every key.

        Raises:
            ConfigError: an argument is out of range or does not fit the records: a
                batch larger than the split, an unknown class, a key without a value.
            DataError: there are no such examples, a record is damaged, or the set was
                closed; or no data service answers.
        """
        from alexnet.pipeline.read.batches import TrainBatches

        names = self.class_names if classes is None else tuple(classes)
        selection = self.select_train(
            _numbers(names), size, limit, keys, weights, labels
        )
        config = ReadConfig(batch_size=batch_size, seed=seed, reader=reader)
        batches = TrainBatches(self, config, selection, names, start_step, data_service)
        batches.require_batches()
        return batches

    def evaluation(
        self,
        split: str = "validation",
        *,
        batch_size: int = READ.batch_size,
        size: int | None = None,
        pad: bool = False,
        classes: Sequence[str] | None = None,
        limit: int | None = None,
        keys: bool = False,
        weights: Values | None = None,
        labels: Values | None = None,
        reader: Reader = READ.reader,
        data_service: str | None = None,
    ) -> EvalBatches:
        """Every example of a split once, in the order of the records: `EvalBatches`.

        Images are not normalised: they are the stored squares, for an `Augment` layer
        in the model or `dataset.map(lambda x, y: augment(x, y, training=False))`, or
        with `size` smaller uint8 images for a model that takes those.

        Args:
            split: `train`, `validation` or `test`.
            batch_size: images in a batch; the last one may have fewer.
            size: deliver the central window of this side, in pixels, instead of the
                stored square. Leave it out where `Augment` follows.
            pad: fill up the last batch with copies that weigh 0, and yield weights with
                every batch: what replicas need.
            classes: as in `train`, as are `limit`, `keys`, `weights`, `labels`,
                `reader` and `data_service`.

        Raises:
            ConfigError: an argument is out of range or does not fit the records.
            DataError: there are no such examples, a record is damaged, or the set was
                closed; or no data service answers.
        """
        from alexnet.pipeline.read.batches import EvalBatches
        from alexnet.pipeline.read.by_service import batch_reader
        from alexnet.pipeline.read.selection import select

        self.require_open()
        self._require_size(size)
        names = self.class_names if classes is None else tuple(classes)
        selection = select(self, split, _numbers(names), limit, keys, weights, labels)
        config = ReadConfig(batch_size=batch_size, reader=reader)
        batch_reader(self, reader, data_service)  # refuses one that cannot read the set
        return EvalBatches(
            self, config, selection, names, split, size, pad, data_service
        )

    def select_train(
        self,
        numbers: Mapping[str, int],
        size: int | None,
        limit: int | None,
        keys: bool,
        weights: Values | None,
        labels: Values | None,
    ) -> Selection:
        """The train split's examples of the classes that have `numbers`, checked.

        Raises:
            ConfigError: an argument does not fit the records.
            DataError: there are no such examples, or the set was closed.
        """
        from alexnet.pipeline.read.selection import select

        self.require_open()
        self._require_size(size)
        return select(self, "train", numbers, limit, keys, weights, labels)

    def close(self) -> None:
        """Make no more batches; datasets that were made before can be read on."""
        self._closed.set()

    def __enter__(self: _Set) -> _Set:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _require_size(self, size: int | None) -> None:
        side = self.manifest.config.side
        if size is not None and not 1 <= size <= side:
            raise ConfigError(
                f"size is {size}, and {self.place} holds squares of {side} px. Choose"
                f" `size={side}` or less, or build records with `side={size}` or more."
            )


def _numbers(names: Sequence[str]) -> dict[str, int]:
    """The label of each class.

    Raises:
        ConfigError: a name stands there twice, or there are none.
    """
    numbers = {name: number for number, name in enumerate(names)}
    if not numbers or len(numbers) < len(names):
        raise ConfigError(f"`classes` is {list(names)}; it needs distinct names")
    return numbers
