"""A report beside an older one: the gate that keeps a pipeline from getting slower."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.ladder import DEVICE_STAGES
from pipeline.errors import AlexnetError, ConfigError, DataError


@dataclass(frozen=True)
class Figures:
    """What is compared of a report, which need not tell a share of its limit."""

    storage: str
    batch_size: int
    images_per_second: float
    share: float | None


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
    last = [stage for stage in stages if stage not in DEVICE_STAGES][-1]
    share = report.get("shares", {}).get(last)
    rate = float(report["images_per_second"])
    if rate <= 0:
        raise ValueError(f"images_per_second is {rate}")
    return Figures(
        storage=str(report["storage"]),
        batch_size=int(report["batch_size"]),
        images_per_second=rate,
        share=float(share["share"]) if share else None,
    )


def require_comparable(old: Figures, storage: str, batch_size: int) -> None:
    """Check that an older report's figures say something of what is measured now.

    Raises:
        ConfigError: they are of another storage or batch size.
    """
    for name, now in (("storage", storage), ("batch size", batch_size)):
        before = getattr(old, name.replace(" ", "_"))
        if before != now:
            raise ConfigError(
                f"the older report's {name} is {before}, this one's is {now}, so their"
                f" figures cannot be compared. Compare with a report of {name} {now}."
            )


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
        f" report's {rate.old:,.0f}, and --fail-below is {fail_below:g}."
    )
    for share in others:
        slower = "machine" if share.ratio >= fail_below else "pipeline"
        told += (
            f" Of the limit measured beside it, this is {share.new:.0%} after"
            f" {share.old:.0%}: the {slower} is what is slower."
        )
    raise AlexnetError(told)
