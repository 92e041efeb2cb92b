"""Checks that a resumed run has the records and settings that it began with."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from alexnet.model.training.run import RunFolder
from alexnet.model.training.run_config import RunConfig
from alexnet.pipeline.errors import RunError
from alexnet.pipeline.files import name_some


def require_same_records(old: RunConfig, found: dict[str, Any]) -> None:
    """Check that the records are those of the run.

    Raises:
        RunError: they are others.
    """
    if found["records_fingerprint"] == old.records_fingerprint:
        return
    raise RunError(
        f"these are other records than the run's: {found['data']}"
        f" {_other_records(old, found)}. Put the run's own back, or name the folder"
        " where they are; to train on these, start another `run`."
    )


def _other_records(old: RunConfig, found: dict[str, Any]) -> str:
    """Describe how records differ from a run's, as the rest of a sentence."""
    own, names = old.class_names, found["class_names"]
    lost = [name for name in own if name not in set(names)]
    more = [name for name in names if name not in set(own)]
    if lost or more:
        parts = [("lacks the class", lost), ("adds the class", more)]
        return " and ".join(
            f"{verb}{'es' * (len(which) > 1)} {name_some(which)}"
            for verb, which in parts
            if which
        )
    options = {"storage": "storage", "stored_side": "side", "resize": "resize"}
    differences = [
        f"`{option}={found[name]!r}` instead of {getattr(old, name)}"
        for name, option in options.items()
        if found[name] != getattr(old, name)
    ]
    if differences:
        return f"was built with {', '.join(differences)}"
    return "holds other photos, or was built with another seed or split"


def require_same_settings(run: RunFolder, old: RunConfig, new: RunConfig) -> None:
    """Check that `new` goes on with `old`: epochs may grow, patience may change.

    So may the cache, which is the machine's.

    Raises:
        RunError: anything else differs; the message lists it.
    """
    if old.order_version != new.order_version:
        raise RunError(
            f"{run.path} was begun by an alexnet that gives epochs another order"
            f" (version {old.order_version} of it, here {new.order_version}): an epoch"
            " that goes on here would have some examples twice and others never. Go on"
            " with the alexnet that began it, or start another `run`."
        )
    names = ("epochs", "patience", "cache", "cache_limit_bytes")
    same = replace(new.train, **{name: getattr(old.train, name) for name in names})
    differences = list_differences(asdict(old), asdict(replace(new, train=same)))
    if new.train.epochs < old.train.epochs:
        differences.append(f"epochs {old.train.epochs} -> {new.train.epochs}")
    if differences:
        raise RunError(
            f"{run.path} was trained with other settings: {'; '.join(differences)}."
            " Leave them out to resume with the run's own, or start another `run`."
        )


def list_differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The settings that differ, `name old -> new`, but for where the records lie."""
    found = []
    for name, value in old.items():
        if isinstance(value, dict) and isinstance(new[name], dict):
            found += list_differences(value, new[name])
        elif value != new[name] and name != "data":
            found.append(f"{name} {value} -> {new[name]}")
    return found
