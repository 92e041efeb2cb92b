"""Settings: each with its default, help and range, in a class with a JSON form."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from alexnet.pipeline.errors import ConfigError

# The largest seed of NumPy, which Keras seeds as well.
MAX_SEED = 2**32 - 1
# Keeps mistyped settings and damaged files out of TensorFlow's way.
MAX_COUNT = 10**6
# Ends of ranges to which 0, 1 or infinity do not belong.
ABOVE_0, BELOW_1 = math.nextafter(0, 1), math.nextafter(1, 0)
FINITE = math.nextafter(math.inf, 0)

_Config = TypeVar("_Config", bound="Config")
_T = TypeVar("_T")


def setting(
    default: _T,
    help_text: str,
    low: float | None = None,
    high: float = math.inf,
    needs: str | None = None,
) -> _T:
    """Declare a setting that commands offer as an option.

    `low` and `high` belong to its range, if it has one; `needs` says it in words.
    """
    metadata: dict[str, Any] = {"help": help_text}
    if low is not None:
        metadata["range"] = (low, high, needs or f"{low:,} to {high:,}")
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """A frozen dataclass of settings that knows their ranges and its JSON form."""

    def __post_init__(self) -> None:
        names = [field.name for field in dataclasses.fields(self)]
        self.require_ranges({name: getattr(self, name) for name in names})
        self.check()

    @classmethod
    def require_ranges(cls, values: dict[str, Any]) -> None:
        """Check that values of settings are in their ranges, each for itself.

        Raises:
            ConfigError: one is not; the message names it.
        """
        kinds = get_type_hints(cls)
        for field in dataclasses.fields(cls):
            if field.name in values:
                _require_in_range(field, kinds[field.name], values[field.name])

    def check(self) -> None:
        """Check what the ranges of single settings leave open.

        Raises:
            ConfigError: a setting is out of range or does not fit another one.
        """

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain JSON values, in the order of declaration."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls: type[_Config], values: dict[str, Any]) -> _Config:
        """Return the settings that `to_json` gave.

        Raises:
            ConfigError: a name is unknown, or a value is out of range.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(names))
        if unknown:
            raise ConfigError(
                f"unknown {cls.__name__} settings: {', '.join(unknown)}"
                f" (known: {', '.join(names)})"
            )
        return cls(**{k: _tuples(v) for k, v in values.items()})


def _require_in_range(field: dataclasses.Field[Any], kind: Any, value: Any) -> None:
    """Check a setting's value; None is a value where it is the default."""
    if value is None and field.default is None:
        return
    if get_origin(kind) is Literal:
        needs = f"one of {', '.join(get_args(kind))}"
        require(value in get_args(kind), field.name, value, needs)
    elif "range" in field.metadata:
        low, high, needs = field.metadata["range"]
        number = Integral if int in (kind, *get_args(kind)) else Real
        in_range = isinstance(value, number) and low <= value <= high
        require(in_range, field.name, value, needs)


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def require(condition: bool, name: str, value: object, needs: str) -> None:
    """Raise a ConfigError that names the setting, its value and what it needs."""
    if not condition:
        raise ConfigError(f"{name} is {value!r}; it needs {needs}")
