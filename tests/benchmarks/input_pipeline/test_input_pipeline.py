"""The whole bench on a tiny record set: fields, order, errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import alexnet.benchmarks.input_pipeline.ladder
import alexnet.benchmarks.limits
from alexnet.benchmarks.config import BenchConfig
from alexnet.benchmarks.input_pipeline.input_pipeline import run_bench
from alexnet.benchmarks.input_pipeline.plan import plan_bench
from alexnet.benchmarks.measure import deliver
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.errors import ConfigError, DataError
from alexnet.pipeline.machine import num_cpus
from tests.conftest import slow

# Records of 18 examples of 16 pixels.
SHORT = BenchConfig(seconds=0.02, batch_size=6, image_size=12)
STREAM = ["read", "shuffle", "batch", "parse", "decode", "prefetch"]
COPY = ["to device"] if tf.config.list_physical_devices("GPU") else []
MEMORY = ["disk read", "memory copy", "memory gather"]


@pytest.fixture(autouse=True)
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filling the memory limit's pool would take longer than everything else."""
    monkeypatch.setattr(alexnet.benchmarks.limits, "POOL_BYTES", 2**16)


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

    monkeypatch.setattr(alexnet.benchmarks.input_pipeline.ladder, "deliver", counted)
    return counts


@pytest.mark.parametrize(
    ("storage", "host", "decode"),
    [
        ("jpeg", ["shuffle", "decode", "prefetch"], ["jpeg decode"]),
        slow("original", STREAM, ["jpeg decode", "jpeg decode, stored square"]),
    ],
)
def test_report(
    record_sets: dict[StorageName, Path],
    storage: StorageName,
    host: list[str],
    decode: list[str],
    alive: list[int],
) -> None:
    batches, told = [], []

    def train_step(images: tf.Tensor, labels: tf.Tensor) -> None:
        batches.append((images.dtype, images.shape, labels.shape))

    report = run_bench(
        record_sets[storage], SHORT, lambda *news: told.append(news), train_step
    )
    values = json.loads(json.dumps(report.to_json()))
    stages = [rung["stage"] for rung in values["rungs"]]
    assert stages == [*host, *COPY, "augment", "train step"]
    assert set(batches) == {(tf.uint8, (6, 16, 16, 3), (6,))}
    rates = {rung["stage"]: rung["images_per_second"] for rung in values["rungs"]}
    assert min(rates.values()) > 0
    assert values["images_per_second"] == rates["prefetch"]
    assert list(values["limits"]) == [*MEMORY, *decode, "train step alone"]
    assert values["shares"]["prefetch"] == {
        "limit": "jpeg decode",
        "share": pytest.approx(rates["prefetch"] / values["limits"]["jpeg decode"]),
    }
    assert values["reader"] == ("stream" if host == STREAM else "mmap")
    assert values["reader_reason"]
    assert values["bottleneck"] in stages
    assert f"`{values['bottleneck']}`" in values["advice"]
    assert [values[name] for name in ("data", "storage", "batch_size", "num_cpus")] == [
        *(str(record_sets[storage]), storage, 6, num_cpus())
    ]
    assert "against" not in values
    assert "ratios" not in values
    names = ["first epoch", "shuffle quality", *stages, *values["limits"], "done"]
    assert told == [(name, done, len(names) - 1) for done, name in enumerate(names)]
    # A warm-up, two first epochs and every rung: each gone before the next is timed.
    assert alive == [*([0, 1] * (3 + len(host) + len(COPY))), 0]


@pytest.mark.slow
@pytest.mark.usefixtures("libturbojpeg")
def test_planes_are_judged_by_bare_planes_and_timed_beside_rgb(
    record_sets: dict[StorageName, Path],
) -> None:
    own = {"decode": "planes", "against": ["plain"]}
    config = BenchConfig.from_json({**SHORT.to_json(), **own})
    values = run_bench(record_sets["jpeg"], config).to_json()
    assert values["decode"] == "planes"
    assert values["shares"]["prefetch"]["limit"] == "jpeg decode, planes"
    assert list(values["ratios"]) == ["jpeg decode", "jpeg decode, planes", "plain"]


@pytest.mark.slow
def test_what_stands_beside_the_rungs(record_sets: dict[StorageName, Path]) -> None:
    values = run_bench(record_sets["raw"], SHORT).to_json()
    assert 0 < values["first_batch_seconds"] < 60
    assert values["warm_images_per_second"] > 0
    cold = values["cold_images_per_second"]
    assert cold is None or cold > 0
    assert (cold is None) == any("page cache, because" in n for n in values["notes"])
    assert 0 <= values["resident_bytes"] < 2**32
    # 18 rows in three batches, drawn from all permutations of them.
    quality = values["shuffle_quality"]
    assert 0 <= quality["class_mixing"] < 6
    assert 0.2 < quality["displacement"] < 2


@pytest.mark.slow
def test_a_reader_that_is_asked_for_is_planned(
    record_sets: dict[StorageName, Path],
) -> None:
    config = BenchConfig.from_json({**SHORT.to_json(), "reader": "stream"})
    plan = plan_bench(record_sets["raw"], config)
    assert [timing.name for timing in plan.host] == STREAM
    assert plan.limit_names == {
        **dict.fromkeys(["read", "shuffle", "batch", "parse"], "disk read"),
        **dict.fromkeys(["decode", "prefetch"], "memory gather"),
    }


@pytest.mark.slow
def test_loaders_are_timed_in_turn_with_ours_and_the_limit(
    record_sets: dict[StorageName, Path],
) -> None:
    told = []
    config = BenchConfig.from_json({**SHORT.to_json(), "against": ["article", "plain"]})
    report = run_bench(record_sets["yuv420"], config, lambda *news: told.append(news))
    values = report.to_json()
    assert list(values["against"]) == ["article", "plain"]
    assert min(values["against"].values()) > 0
    assert list(values["ratios"]) == ["memory gather", "article", "plain"]
    assert all(each["ratio"] > 0 for each in values["ratios"].values())
    assert [rung["stage"] for rung in values["rungs"]] == [
        *("shuffle", "read", "prefetch", *COPY, "augment")
    ]
    assert values["shares"]["read"]["limit"] == "memory gather"
    in_turn = ["prefetch", "memory gather", "article", "plain"]
    assert [name for name, *_ in told[-13:]] == [*(3 * in_turn), "done"]
    assert told[-1][1:] == (len(told) - 1, len(told) - 1)
    assert any("quality 90" in note for note in values["notes"])
    assert "times as many images as `plain`" in values["advice"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seconds": 0}, "seconds is 0; it needs more than 0"),
        ({"against": ["petastorm"]}, "against is 'petastorm'; it needs one of article"),
        ({"against": ["plain", "plain"]}, "'plain'; it needs to be named once"),
        ({"batch_size": 0}, "batch_size is 0; it needs 1 to 1,000,000"),
        ({"batch_size": 19}, "a batch of 19 .* 18 examples"),
        ({"image_size": 17, "augment": "none"}, "at most the stored 16 pixels"),
        ({"augment": "wild"}, "augment is 'wild'; it needs one of article, paper"),
        ({"reader": "fast"}, "reader is 'fast'; it needs one of auto, stream, mmap"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_timed(
    record_sets: dict[StorageName, Path], changed: dict, message: str
) -> None:
    told = []
    with pytest.raises(ConfigError, match=message):
        config = BenchConfig.from_json({**SHORT.to_json(), **changed})
        run_bench(record_sets["jpeg"], config, lambda *news: told.append(news))
    assert not told


def test_a_missing_record_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder: .*gone"):
        run_bench(tmp_path / "gone", SHORT)
