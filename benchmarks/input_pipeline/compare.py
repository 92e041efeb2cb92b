"""A report beside an older one: the gate that keeps a pipeline from getting slower."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from alexnet.benchmarks.input_pipeline.ladder import DEVICE_STAGES
from alexnet.benchmarks.settings import BenchSettings
from alexnet.pipeline.errors import AlexnetError, ConfigError, DataError

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
    """What is compared of a report, and under which settings it was measured.

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


def load_figures(path: Path) -> Figures:
    """The figures of the report that `bench input-pipeline --json` wrote to `path`.

    Raises:
        DataError: there is no such file, or it is no such report.
    """
    remedy = "Write one with `alexnet bench input-pipeline DATA --json > FILE`."
    try:
        return figures(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise DataError(f"no such file: {path}. {remedy}") from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"{path} is no bench's report ({reason}). {remedy}") from error


def figures(report: Mapping[str, Any]) -> Figures:
    """What is compared of a report's JSON."""
    stages = [rung["stage"] for rung in report["rungs"]]
    rate = float(report["images_per_second"])
    if rate <= 0:
        raise ValueError(f"images_per_second is {rate}")
    names = [field.name for field in fields(BenchSettings)]
    return Figures(
        settings={name: report[name] for name in names if name in report},
        images_per_second=rate,
        share=_share(stages, report.get("shares", {})),
        circumstances={name: dict(report.get(name, {})) for name in CIRCUMSTANCES},
    )


def _share(stages: Sequence[str], shares: Mapping[str, Any]) -> float | None:
    """The share of the last host stage that has a limit."""
    host = [stage for stage in stages if stage not in DEVICE_STAGES]
    found = [float(shares[stage]["share"]) for stage in host if stage in shares]
    return found[-1] if found else None


def require_comparable(old: Figures, now: BenchSettings) -> None:
    """Check that an older report's figures say something of what is measured now.

    Raises:
        ConfigError: they are of other settings, or it does not tell of which.
    """
    known = old.settings
    differ = [
        f"{WORDS.get(name, name)} {known[name]} (now {value})"
        for name, value in asdict(now).items()
        # A quality that one of them lacks goes with its storage.
        if name in known and known[name] != value and None not in (known[name], value)
    ]
    lacking = [WORDS.get(name, name) for name in asdict(now) if name not in known]
    told = [f"it was measured with {', '.join(differ)}"] if differ else []
    told += [f"it does not tell its {', '.join(lacking)}"] if lacking else []
    if told:
        raise ConfigError(
            f"the older report cannot be compared with: {', and '.join(told)}. Measure"
            " with the same settings, or write a report of these with `alexnet bench"
            " input-pipeline DATA --json > FILE`."
        )


def other_circumstances(old: Figures, new: Figures) -> list[str]:
    """What of the machine and the versions is another one than before, in words."""
    found = []
    for name, now in new.circumstances.items():
        before = old.circumstances[name]
        found += [
            f"{name} {key}: {before.get(key, 'unknown')} before, {value} now"
            for key, value in now.items()
            if before.get(key) != value
        ]
    return found


def changes(old: Figures, new: Figures) -> list[Change]:
    """What became of the images per second, and of their share of the limit."""
    found = [Change("images/s", old.images_per_second, new.images_per_second)]
    if old.share and new.share:
        found.append(Change("share of the limit", old.share, new.share))
    return found


def require_no_slower(found: Sequence[Change], fail_below: float) -> None:
    """Check that the images per second are still enough of what they were.

    Raises:
        AlexnetError: they are not.
    """
    rate, *others = found
    if rate.ratio >= fail_below:
        return
    told = (
        f"too slow: {rate.new:,.0f} images/s are {rate.ratio:.2f} times the older"
        f" report's {rate.old:,.0f}, and `fail_below` is {fail_below:g}."
    )
    for share in others:
        slower = "machine" if share.ratio >= fail_below else "pipeline"
        told += (
            f" Of the limit measured beside it, this is {share.new:.0%} after"
            f" {share.old:.0%}: the {slower} is what is slower."
        )
    raise AlexnetError(told)


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
            f"too far from the limit: the pipeline reaches {new.share:.3f} of it, and"
            f" `fail_below_share` is {least:g}. The report's advice says what helps."
        )
