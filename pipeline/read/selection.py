"""A selection: which examples of a split are read, and what goes with each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from alexnet.pipeline.errors import ConfigError, DataError
from alexnet.pipeline.files import name_some
from alexnet.pipeline.read.example_set import ExampleSet
from alexnet.pipeline.setting import require

# Gives a number, or a vector of them, for a photo's key.
Values: TypeAlias = "Mapping[str, Any] | Callable[[str], Any]"


@dataclass(frozen=True)
class Selection:
    """Examples of a split, in its order.

    `tables` holds what replaces or follows an example's label: `classes` the new number
    of every class, int64 [classes]; by row of the split `labels`, float32 [rows, ...],
    `weights`, float32 [rows], and `keys`, bytes [rows].
    """

    num_examples: int
    # int64 [examples], ascending; None: all of the split's.
    rows: np.ndarray | None = None
    tables: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether the selection is the split as it is stored."""
        return self.rows is None and not self.tables

    def take(self, places: tf.Tensor) -> tf.Tensor:
        """The rows of the split at places of the selection, int [...]."""
        return places if self.rows is None else tf.gather(self.rows, places)

    def span(self, places: range) -> range:
        """Return the split's rows from the first to the last of successive places."""
        if self.rows is None or not places:
            return places
        return range(int(self.rows[places[0]]), int(self.rows[places[-1]]) + 1)

    def lend(self) -> dict[str, tf.Tensor]:
        """The tables, to be given to `annotate`."""
        return {name: tf.constant(table) for name, table in self.tables.items()}


def annotate(
    images: tf.Tensor,
    labels: tf.Tensor,
    rows: tf.Tensor,
    tables: Mapping[str, tf.Tensor],
) -> tuple[tf.Tensor, ...]:
    """(images, labels) and, where there are such tables, weights and keys, in batches.

    `rows`, int [batch], are the examples' numbers in their split.
    """
    if "labels" in tables:
        labels = tf.gather(tables["labels"], rows)
    elif "classes" in tables:
        labels = tf.gather(tables["classes"], labels)
    more = [
        tf.gather(tables[name], rows) for name in ("weights", "keys") if name in tables
    ]
    return (images, labels, *more)


def select_all(records: ExampleSet, split: str) -> Selection:
    """Every example of a split, with its stored label.

    Raises:
        DataError: there is no such split, or it is empty.
    """
    return Selection(records.manifest.split(split).num_examples)


def select(
    records: ExampleSet,
    split: str,
    numbers: Mapping[str, int],
    limit: int | None = None,
    keys: bool = False,
    weights: Values | None = None,
    labels: Values | None = None,
) -> Selection:
    """The examples of a split whose classes have `numbers`, which become their labels.

    Raises:
        ConfigError: a class, a key or a value is missing, or is of the wrong kind.
        DataError: there are no such examples, or a record is damaged.
    """
    num_rows = records.manifest.split(split).num_examples
    names = records.manifest.class_names
    count, rows, tables = num_rows, None, {}
    if missing := [name for name in numbers if name not in names]:
        raise ConfigError(
            f"`classes` has {name_some(missing)}, and the records hold"
            f" {name_some(names)}. Choose among these."
        )
    if list(numbers.items()) != [(name, number) for number, name in enumerate(names)]:
        tables["classes"] = np.array([numbers.get(name, -1) for name in names])
    if len(numbers) < len(names):
        rows = np.flatnonzero(tables["classes"][records.labels(split)] >= 0)
        count = len(rows)
    if limit is not None:
        require(limit >= 1, "limit", limit, "1 or more")
        count = min(limit, count)
    if count < num_rows:
        rows = np.arange(count) if rows is None else rows[:count]
    if not count:
        raise DataError(
            f"the {split} split in {records.place} has no examples of"
            f" {name_some(list(numbers))}. Choose other `classes`."
        )
    if keys or weights is not None or labels is not None:
        every = np.arange(num_rows) if rows is None else rows
        tables |= _by_key(records, split, every, num_rows, keys, weights, labels)
    return Selection(count, rows, tables)


def _by_key(
    records: ExampleSet,
    split: str,
    rows: np.ndarray,
    num_rows: int,
    keys: bool,
    weights: Values | None,
    labels: Values | None,
) -> dict[str, np.ndarray]:
    """The tables that follow from the keys of the selected rows."""
    every_key = records.keys(split)
    names = [every_key[row] for row in rows.tolist()]
    columns = {}
    if keys:
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        columns["keys"] = np.array(encoded, object)
    if weights is not None:
        columns["weights"] = _values("weights", weights, names)
        if columns["weights"].ndim > 1:
            raise ConfigError("`weights` gives vectors; it needs one number a key")
    if labels is not None:
        columns["labels"] = _values("labels", labels, names)
    return {name: _by_row(column, rows, num_rows) for name, column in columns.items()}


def _by_row(column: np.ndarray, rows: np.ndarray, num_rows: int) -> np.ndarray:
    empty: Any = b"" if column.dtype == object else 0
    table = np.full((num_rows, *column.shape[1:]), empty, column.dtype)
    table[rows] = column
    return table


def _values(name: str, values: Values, keys: Sequence[str]) -> np.ndarray:
    """float32 [keys, ...]: what `values` has for each key."""
    if callable(values):
        found = [values(key) for key in keys]
    elif missing := [key for key in keys if key not in values]:
        raise ConfigError(
            f"`{name}` has no value for {name_some(missing)}. Its keys are the photos'"
            " paths below their source, as `keys=True` yields them; give one for each,"
            " or a function that does."
        )
    else:
        found = [values[key] for key in keys]
    try:
        return np.array(found, np.float32)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"`{name}` needs a number for every key, or vectors of one length: {error}"
        ) from None
