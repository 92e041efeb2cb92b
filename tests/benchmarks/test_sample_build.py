"""Sample builds: sizes by arithmetic, and records that are the same ones."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from alexnet.benchmarks import sample_build
from alexnet.benchmarks.sample_build import extrapolate
from alexnet.pipeline.config import ReadConfig, StorageName
from alexnet.pipeline.read.dataset import eval_dataset
from alexnet.pipeline.read.opened_records import open_records


def test_the_mean_stands_for_all() -> None:
    """NumPy's standard error of a mean, times 100, for a sample of 4 without return."""
    found = [10, 14, 18, 30]
    size = extrapolate([0] * 4, found, 0, 100)
    assert size.num_bytes == 100 * 18
    expected = 100 * np.std(found, ddof=1) / 2 * np.sqrt(0.96)
    assert size.error_bytes == pytest.approx(expected)


def test_the_standard_error_is_that_of_repeated_samples() -> None:
    rng = np.random.default_rng(0)
    population = rng.lognormal(9, 0.5, 200).astype(int)
    samples = [rng.choice(population, 50, replace=False) for _ in range(2000)]
    sizes = [extrapolate([0] * 50, found.tolist(), 0, 200) for found in samples]
    totals = [size.num_bytes for size in sizes]
    assert np.mean(totals) == pytest.approx(population.sum(), rel=0.01)
    told = np.mean([size.error_bytes for size in sizes])
    assert told == pytest.approx(np.std(totals), rel=0.05)


def test_what_is_known_is_counted_exactly() -> None:
    """Files of 5 and 900 bytes were built, with 20 bytes around each."""
    assert extrapolate([5, 900], [25, 920], 5000, 10) == (5000 + 10 * 20, 0)


@pytest.mark.parametrize("found", [[7], [7, 9, 20]])
def test_a_sample_of_all_is_no_estimate(found: list[int]) -> None:
    assert extrapolate([0] * len(found), found, 0, len(found)) == (sum(found), 0)


@pytest.mark.parametrize("storage", get_args(StorageName))
def test_multiplied_records_are_the_same_ones(
    record_sets: dict[StorageName, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    storage: StorageName,
) -> None:
    """One shard of the set, three times: as many images, or bytes, as are wanted."""
    shutil.copytree(record_sets[storage], tmp_path, dirs_exist_ok=True)
    records = open_records(tmp_path)
    card = records.manifest.split("train")
    first = replace(card, shards=card.shards[:1], class_counts=(3, 3))
    one = replace(records, manifest=replace(records.manifest, splits={"train": first}))
    by_count, seconds = sample_build._multiply(one, 13)
    assert seconds > 0
    monkeypatch.setattr(sample_build, "POOL_BYTES", 2 * first.num_bytes + 1)
    by_size, _ = sample_build._multiply(one, 10**6)
    for more in (by_count, by_size):
        assert more.manifest.split("train").class_counts == (9, 9)
        paths = more.paths("train")
        assert len({*paths}) == 3
        assert {Path(path).read_bytes() for path in paths} == {
            Path(one.paths("train")[0]).read_bytes()
        }
        batches = eval_dataset(more, ReadConfig(batch_size=6), "train")
        images = [batch.numpy() for batch, *_ in batches]
        assert len(images) == 3
        np.testing.assert_array_equal(images[1], images[0])
        np.testing.assert_array_equal(images[2], images[0])
