"""What may be varied: lists, ranges, their combinations and their JSON."""

from __future__ import annotations

import json

import pytest

from alexnet.model.sweep.space import (
    Choices,
    Range,
    Space,
    check_space,
    combinations,
    extreme_settings,
    space_from_json,
    space_to_json,
)
from alexnet.pipeline.errors import ConfigError

SPACE: Space = {
    "optimizer": Choices(("sgd", "adam")),
    "patience": Choices((None, 3)),
    "epochs": Range(5, 20),
    "learning_rate": Range(0.001, 0.1, log=True),
}


def test_a_space_survives_json() -> None:
    assert space_from_json(json.loads(json.dumps(space_to_json(SPACE)))) == SPACE


def test_combinations_are_all_in_order() -> None:
    space = {"a": Choices((1, 2)), "b": Choices(("x", "y"))}
    pairs = [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    assert combinations(space) == [{"a": a, "b": b} for a, b in pairs]


def test_every_extreme_is_checked_beside_the_others_first() -> None:
    first = {"optimizer": "sgd", "patience": None, "epochs": 5, "learning_rate": 0.001}
    others: list[dict[str, object]] = [
        {"optimizer": "adam"},
        {"patience": 3},
        {"epochs": 20},
    ]
    others.append({"learning_rate": 0.1})
    found = list(extreme_settings(SPACE))
    assert len(found) == 8 and first in found
    for values in others:
        assert {**first, **values} in found


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "vary is {}; it needs a setting"),
        ({"epochs": Choices(())}, "epochs is (); it needs one value or more"),
        ({"epochs": Range(5, 5)}, "epochs is '5:5'; it needs the lower end first"),
        ({"epochs": Range(6, 5)}, "epochs is '6:5'; it needs the lower end first"),
        ({"learning_rate": Range(0, 1, log=True)}, "a lower end above 0"),
    ],
)
def test_an_empty_space_or_range_is_refused(space: Space, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_space(space)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("values", "drawn", "rounded"),
    [
        (Range(0.001, 0.1, log=True), 0.0123456, 0.01235),
        (Range(0.0, 0.5), 0.2345678, 0.2346),
        (Range(0.0, 0.5), 0.0, 0.0),
        (Range(-1.0, 0.0), -0.1234567, -0.1235),
        (Range(-1.0, 0.0), 0.0, 0.0),
        (Range(100.0, 900.0), 123.4567, 123.5),
        # Near 1, four digits of an average are one or two of what it forgets.
        (Range(0.99, 0.99999), 0.99876543, 0.998765),
        (Range(0.99, 0.99999), 0.999989999, 0.99999),
        # A rounded number may lie outside the range, where a setting is refused.
        (Range(0.1, 0.123456), 0.1234559, 0.123456),
        (Range(0.123449, 0.9), 0.12344901, 0.123449),
    ],
)
def test_what_is_drawn_has_few_digits_and_stays_in_its_range(
    values: Range, drawn: float, rounded: float
) -> None:
    assert values.rounded(drawn) == rounded
