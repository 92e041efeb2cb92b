"""JSON values against the kinds that fields are declared with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from alexnet.pipeline.config_json import require_kinds
from alexnet.pipeline.errors import ConfigError


@dataclass
class Inner:
    size: int = 1


@dataclass
class Outer:
    count: int
    share: float
    maybe: int | None
    on: bool
    name: str
    way: Literal["a", "b"]
    pair: tuple[float, float]
    names: tuple[str, ...]
    inner: Inner
    perhaps: Inner | None
    several: tuple[Inner, ...]
    by_name: dict[str, Inner]


GOOD: dict[str, Any] = {
    "count": 3,
    "share": 0.5,
    "maybe": None,
    "on": True,
    "name": "x",
    "way": "a",
    "pair": [1, 2.5],
    "names": ["y", "z"],
    "inner": {"size": 2},
    "perhaps": {"size": 3},
    "several": [{"size": 4}, {}],
    "by_name": {"x": {"size": 5}},
}


@pytest.mark.parametrize(
    "values",
    [
        GOOD,
        GOOD | {"maybe": 4, "share": 1, "names": [], "inner": {}},
        GOOD | {"perhaps": None, "several": [], "by_name": {}},
        # What is missing or unknown is for others to see.
        {"count": 3, "unheard": [None]},
    ],
)
def test_what_was_declared_fits(values: dict[str, Any]) -> None:
    require_kinds(Outer, values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("count", value) for value in (1.0, True, "1", None, [1], 2**63, -(2**63))),
        *(("share", value) for value in (True, "1", None, math.nan, 1e999, 10**400)),
        *(("maybe", value) for value in (1.5, False, "")),
        *(("on", value) for value in (0, 1, "true", None)),
        *(("name", value) for value in (1, None, ["x"])),
        *(("way", value) for value in ("c", 1, None, ["a"])),
        *(("pair", value) for value in ([1.0], [1.0, 2.0, 3.0], ["1", 2.0], 1.0)),
        *(("names", value) for value in ("yz", [1], {"y": 1}, None)),
        ("several", {}),
        *(("several", value) for value in (None, "x")),
        ("by_name", []),
        *(("by_name", value) for value in (None, "x")),
    ],
)
def test_another_kind_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as error:
        require_kinds(Outer, GOOD | {name: value})
    assert str(error.value).startswith(f"{name} is ")
    assert len(str(error.value)) < 150


def test_objects_are_looked_into() -> None:
    with pytest.raises(ConfigError, match="size is 'big'; it needs a whole number"):
        require_kinds(Outer, GOOD | {"inner": {"size": "big"}})
    with pytest.raises(ConfigError, match=r"Inner is \[1\], not an object"):
        require_kinds(Outer, GOOD | {"inner": [1]})
    for name, value in (("perhaps", 1), ("several", [1]), ("by_name", {"x": 1})):
        with pytest.raises(ConfigError, match="Inner is 1, not an object"):
            require_kinds(Outer, GOOD | {name: value})
