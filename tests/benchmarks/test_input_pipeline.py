"""The whole bench on a tiny record set: fields, order, errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import benchmarks.ladder
import benchmarks.limits
from benchmarks.input_pipeline import BenchConfig, run_bench
from benchmarks.measure import deliver
from pipeline.config import Storage
from pipeline.errors import ConfigError, DataError
from pipeline.workers import num_cpus

# Records of 18 examples of 16 pixels.
SHORT = BenchConfig(seconds=0.02, batch_size=6, image_size=12)
HOST = ["read", "shuffle", "parse", "decode", "batch", "prefetch"]


@pytest.fixture(autouse=True)
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filling the memory limit's pool would take longer than everything else."""
    monkeypatch.setattr(benchmarks.limits, "POOL_BYTES", 2**16)


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rungs' datasets were alive whenever one was started or dropped."""
    counts = [0]

    def counted(*arguments: Any) -> Iterator[float]:
        counts.append(counts[-1] + 1)
        try:
            yield from deliver(*arguments)
        finally:
            counts.append(counts[-1] - 1)

    monkeypatch.setattr(benchmarks.ladder, "deliver", counted)
    return counts


def test_report_of_jpeg_records(
    record_sets: dict[Storage, Path], alive: list[int]
) -> None:
    batches, told = [], []

    def train_step(images: tf.Tensor, labels: tf.Tensor) -> None:
        batches.append((images.dtype, images.shape, labels.shape))

    report = run_bench(
        record_sets["jpeg"], SHORT, lambda *news: told.append(news), train_step
    )
    values = json.loads(json.dumps(report.to_json()))
    host = HOST + (["to device"] if tf.config.list_physical_devices("GPU") else [])
    stages = [rung["stage"] for rung in values["rungs"]]
    assert stages == [*host, "augment", "train step"]
    assert set(batches) == {(tf.uint8, (6, 16, 16, 3), (6,))}
    assert all(rung["images_per_second"] > 0 for rung in values["rungs"])
    assert values["images_per_second"] == values["rungs"][5]["images_per_second"]
    assert list(values["limits"]) == ["disk read", "memory copy", "jpeg decode"]
    assert "against" not in values
    assert values["bottleneck"] in stages
    assert f"`{values['bottleneck']}`" in values["advice"]
    assert values["data"] == str(record_sets["jpeg"])
    assert [values[name] for name in ("storage", "reader", "batch_size")] == [
        *("jpeg", "stream", 6)
    ]
    assert values["num_cpus"] == num_cpus()
    total = len(stages) + 3
    names = [*stages, *values["limits"], "done"]
    assert told == [(name, done, total) for done, name in enumerate(names)]
    # Each rung is gone before the next is timed.
    assert alive == [*([0, 1] * len(host)), 0]


def test_against_the_article_on_raw_records(record_sets: dict[Storage, Path]) -> None:
    config = BenchConfig(seconds=0.02, batch_size=6, image_size=12, against="article")
    values = run_bench(record_sets["raw"], config).to_json()
    assert list(values["limits"]) == ["disk read", "memory copy"]
    assert list(values["against"]) == ["article"]
    assert values["against"]["article"] > 0
    assert any("quality 90" in note for note in values["notes"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seconds": 0}, "seconds is 0; it needs more than 0"),
        ({"against": "torch"}, "against is 'torch'; it needs article"),
        ({"batch_size": 0}, "batch_size is 0; it needs 1 or more"),
        ({"batch_size": 19}, "a batch of 19 .* 18 examples"),
        ({"image_size": 17, "augment": "none"}, "at most the stored 16 pixels"),
        ({"augment": "wild"}, "no augmentation 'wild'"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_timed(
    record_sets: dict[Storage, Path], changed: dict, message: str
) -> None:
    told = []
    with pytest.raises(ConfigError, match=message):
        config = BenchConfig.from_json({**SHORT.to_json(), **changed})
        run_bench(record_sets["jpeg"], config, lambda *news: told.append(news))
    assert not told


def test_a_missing_record_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder: .*gone"):
        run_bench(tmp_path / "gone", SHORT)
