"""A report beside an older one: the gate that keeps a pipeline from getting slower."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from alexnet.benchmarks.config import BenchSettings
from alexnet.benchmarks.input_pipeline.ladder import DEVICE_STAGES
from alexnet.pipeline.errors import AlexnetError, ConfigError, DataError

_Made = TypeVar("_Made")

HOW_TO_WRITE = "`alexnet bench input-pipeline DATA --json > FILE`"
# Of settings, those that are read best under other names.
WORDS = {
    "augment": "augmentation",
    "batch_size": "batch size",
    "image_size": "image size",
    "ram_budget_bytes": "RAM budget in bytes",
    "resize": "resize mode",
}
# Not compared, but told where they differ: figures of other machines are no fault.
CIRCUMSTANCES = ("host", "versions")


@dataclass(frozen=True)
class Figures:
    """The part of a report that is compared, and the settings it was measured under.

    Reports of before need not tell all of the settings, nor a share of the limit.
    """

    settings: dict[str, Any]
    images_per_second: float
    share: float | None
    # By name and, below it, by name.
    circumstances: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Change:
    """A figure of the older report, and of the newer one."""

    figure: str
    old: float
    new: float

    @property
    def ratio(self) -> float:
        """The newer one by the older one."""
        return self.new / self.old

    def to_json(self) -> dict[str, Any]:
        """The figures and their ratio."""
        return {**asdict(self), "ratio": self.ratio}


# What reading a report raises of JSON that holds something else.
NO_REPORT = (ValueError, LookupError, TypeError, AttributeError)


def load_figures(path: Path) -> Figures:
    """Read the figures of a report that `bench input-pipeline --json` wrote.

    Raises:
        DataError: there is no such file, or it is no such report.
    """
    return read_report(path, figures)


def read_report(path: Path, made: Callable[[Mapping[str, Any]], _Made]) -> _Made:
    """Return what is made of the report that a bench wrote.

    Raises:
        DataError: there is no such file, or it is no such report.
    """
    try:
        return made(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        problem = f"no such file: {path}"
    except NO_REPORT as error:
        problem = f"{path} is no bench's report ({type(error).__name__}: {error})"
    raise DataError(f"{problem}. Write one with {HOW_TO_WRITE}.")


def figures(report: Mapping[str, Any]) -> Figures:
    """The figures of a report's JSON.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: it is no report.
    """
    host = [r["stage"] for r in report["rungs"] if r["stage"] not in DEVICE_STAGES]
    rate, shares = float(report["images_per_second"]), report.get("shares", {})
    if rate <= 0:
        raise ValueError(f"images_per_second is {rate}")
    names = [field.name for field in fields(BenchSettings)]
    host_shares = [float(shares[stage]["share"]) for stage in host if stage in shares]
    return Figures(
        # Reports of before were all of RGB.
        settings={"decode": "rgb"}
        | {name: report[name] for name in names if name in report},
        images_per_second=rate,
        share=host_shares[-1] if host_shares else None,
        circumstances={name: dict(report.get(name, {})) for name in CIRCUMSTANCES},
    )


def require_comparable(old: Figures, now: BenchSettings) -> None:
    """Check that an older report was measured with the settings of now.

    Raises:
        ConfigError: it was not, or it does not tell one of them.
    """
    different, missing = [], []
    for name, value in asdict(now).items():
        word, before = WORDS.get(name, name), old.settings.get(name)
        if name not in old.settings:
            missing.append(word)
        # A quality that one of them lacks goes with its storage.
        elif before != value and None not in (before, value):
            different.append(f"{word} {before} (now {value})")
    reasons = [f"it was measured with {', '.join(different)}"] if different else []
    reasons += [f"it does not tell its {', '.join(missing)}"] if missing else []
    if reasons:
        raise ConfigError(
            f"the older report cannot be compared with: {', and '.join(reasons)}."
            " Measure with the same settings, or write a report of these with"
            f" {HOW_TO_WRITE}."
        )


def other_circumstances(old: Figures, new: Figures) -> list[str]:
    """The differences of machine and versions, a line for each."""
    return [
        f"{name} {key}: {old.circumstances[name].get(key, 'unknown')} before,"
        f" {value} now"
        for name, values in new.circumstances.items()
        for key, value in values.items()
        if old.circumstances[name].get(key) != value
    ]


def changes(old: Figures, new: Figures) -> list[Change]:
    """The images per second, and their share of the limit where both have one."""
    rate = Change("images/s", old.images_per_second, new.images_per_second)
    if not old.share or not new.share:
        return [rate]
    return [rate, Change("share of the limit", old.share, new.share)]


def require_no_slower(changed: Sequence[Change], fail_below: float) -> None:
    """Check that the images per second are still enough of what they were.

    Raises:
        AlexnetError: they are not.
    """
    rate, *shares = changed
    if rate.ratio >= fail_below:
        return
    message = (
        f"too slow: {rate.new:,.0f} images/s are {rate.ratio:.2f} times the older"
        f" report's {rate.old:,.0f}, less than `fail_below={fail_below:g}`."
    )
    for share in shares:
        culprit = "machine" if share.ratio >= fail_below else "pipeline"
        message += (
            f" Of the limit measured beside it, this is {share.new:.0%} after"
            f" {share.old:.0%}: the {culprit} is what is slower."
        )
    raise AlexnetError(message)


def require_share(new: Figures, least: float) -> None:
    """Check that the pipeline comes near enough to what limits it.

    Raises:
        AlexnetError: it does not, or no limit was measured.
    """
    if new.share is None:
        raise AlexnetError(
            "`fail_below_share` has nothing to judge: no stage of the host has a limit"
            " that could be measured on these records."
        )
    if new.share < least:
        raise AlexnetError(
            f"too far from the limit: the pipeline reaches {new.share:.3f} of it, less"
            f" than `fail_below_share={least:g}`. The report's advice says what helps."
        )
