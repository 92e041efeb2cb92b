"""Settings: JSON round trips, unknown names, values out of range."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alexnet.pipeline.config import AugmentConfig, BuildConfig, ReadConfig
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.setting import Config


@pytest.mark.parametrize(
    "config",
    [
        BuildConfig(),
        BuildConfig(
            storage="raw",
            side=64,
            resize="squash",
            quality=75,
            labels="csv",
            validation_fraction=0.1,
            seed=7,
            shards=3,
            shard_size_bytes=2**20,
        ),
        ReadConfig(batch_size=32, seed=1),
        AugmentConfig(zoom=(0.8, 1.5), flip_horizontal=True, mean=(1.0, 2.0, 3.0)),
    ],
)
def test_json_round_trip(config: Config) -> None:
    text = json.dumps(config.to_json())
    assert type(config).from_json(json.loads(text)) == config


def test_an_absent_setting_takes_its_default() -> None:
    assert BuildConfig.from_json({"side": 64}) == BuildConfig(side=64)


def test_an_unknown_setting_is_named_beside_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown .* sise \(known: storage, side"):
        BuildConfig.from_json({"sise": 64})


@pytest.mark.parametrize(
    ("kind", "name", "good", "bad"),
    [
        (BuildConfig, "side", [8, 4096], [7, 4097]),
        (BuildConfig, "quality", [1, 100], [0, 101]),
        (BuildConfig, "validation_fraction", [0, 1], [-0.01, 1.01, float("nan")]),
        (BuildConfig, "shards", [None, 1, 99_999], [0, 100_000]),
        (BuildConfig, "shard_size_bytes", [1024], [1023]),
        (BuildConfig, "storage", ["jpeg", "raw", "original"], ["png", None]),
        (BuildConfig, "resize", ["crop", "squash"], ["stretch"]),
        (BuildConfig, "labels", ["auto", "folder", "name", "csv"], ["json"]),
        (BuildConfig, "seed", [0, 2**32 - 1], [-1, 2**32]),
        (ReadConfig, "batch_size", [1], [0]),
        (ReadConfig, "seed", [0, 2**32 - 1], [-1, 2**32, 1.5, "3"]),
        (ReadConfig, "ram_budget_bytes", [2**26], [2**26 - 1]),
        (AugmentConfig, "rotation_degrees", [0, 180], [-1, 181]),
        (AugmentConfig, "shift_x", [0, 1], [-0.1, 1.1]),
        (AugmentConfig, "mixup", [0, 9], [-0.1]),
        (AugmentConfig, "zoom", [(0.5, 0.5)], [(0, 1), (2, 1)]),
        (AugmentConfig, "scale", [(0.1, 1.0)], [(0.5, 1.1)]),
        (AugmentConfig, "std", [(1.0, 1.0, 1.0)], [(1.0, 0.0, 1.0)]),
    ],
)
def test_ranges(kind: type[Config], name: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert getattr(kind(**{name: value}), name) == value
    for value in bad:
        with pytest.raises(ConfigError, match=f"^{name} is .*; it needs"):
            kind(**{name: value})
