"""The settings that a sweep varies, and what each may be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from alexnet.pipeline.setting import require

if TYPE_CHECKING:
    from optuna import Trial

# Tree-structured Parzen estimators (Bergstra 2011) draw near what was good so far.
Sampler = Literal["tpe", "random"]
# Digits of what is drawn, and of its place in the range: so many can be read and typed.
DIGITS = 4


@dataclass(frozen=True)
class Choices:
    """Values to choose from."""

    values: tuple[Any, ...]

    @property
    def extremes(self) -> tuple[Any, ...]:
        """All that need a check before a sweep begins."""
        return self.values

    def suggest(self, trial: Trial, name: str) -> Any:
        """Let Optuna choose."""
        return trial.suggest_categorical(name, self.values)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, whole ones if these are; `log` evens magnitudes."""

    low: float
    high: float
    log: bool = False

    @property
    def extremes(self) -> tuple[Any, ...]:
        """All that need a check before a sweep begins."""
        return self.low, self.high

    def suggest(self, trial: Trial, name: str) -> Any:
        """Let Optuna draw."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        drawn = trial.suggest_float(name, self.low, self.high, log=self.log)
        return self.rounded(drawn)

    def rounded(self, drawn: float) -> float:
        """Return a number of the range in few digits, within the range as well."""
        span = self.high - self.low
        finest = min(abs(drawn), span) or span
        decimals = DIGITS - 1 - math.floor(math.log10(finest))
        return min(max(round(drawn, decimals), self.low), self.high)


Space = Mapping[str, Choices | Range]


def check_space(space: Space) -> None:
    """Check that there is something to vary, and that ranges run upwards.

    Raises:
        ConfigError: there is nothing, or a range is none.
    """
    require(bool(space), "vary", {}, "a setting and its values or range")
    for name, values in space.items():
        if isinstance(values, Choices):
            needs = "one value or more"
            require(bool(values.values), name, values.values, needs)
        else:
            ends = f"{values.low}:{values.high}"
            require(values.low < values.high, name, ends, "the lower end first")
            needs = "a lower end above 0, as `log` takes a logarithm"
            require(values.low > 0 or not values.log, name, ends, needs)


def combinations(space: Space) -> list[dict[str, Any]]:
    """Return every combination of the choices; the last setting varies fastest."""
    every = product(*(values.extremes for values in space.values()))
    return [dict(zip(space, values, strict=True)) for values in every]


def extreme_settings(space: Space) -> Iterator[dict[str, Any]]:
    """Yield every extreme value of each setting beside first values of the others."""
    first = {name: values.extremes[0] for name, values in space.items()}
    for name, values in space.items():
        for value in values.extremes:
            yield {**first, name: value}


def space_to_json(space: Space) -> dict[str, Any]:
    """Return plain JSON values: a list of choices, an object for a range."""
    return {
        name: list(x.values) if isinstance(x, Choices) else asdict(x)
        for name, x in space.items()
    }


def space_from_json(values: dict[str, Any]) -> Space:
    """Return what `space_to_json` was given."""
    return {
        name: Choices(tuple(x)) if isinstance(x, list) else Range(**x)
        for name, x in values.items()
    }
