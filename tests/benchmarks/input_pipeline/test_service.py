"""The bench through a data service: its rungs, and the worker cores for a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from alexnet.benchmarks.config import BenchConfig
from alexnet.benchmarks.input_pipeline import service
from alexnet.benchmarks.input_pipeline.input_pipeline import run_bench
from alexnet.benchmarks.input_pipeline.service import ONE_CORE, one_core, service_need
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.read.opened_records import open_records
from tests.conftest import SIDE
from tests.pipeline.service.hosts import in_process_service


def test_the_need_is_counted_by_hand() -> None:
    """1000 images/s and a fifth to spare, of 300 a core: 1200 / 300, or a bit more."""
    need = service_need("host:1", 300.0, 1000.0, 500)
    assert (need.worker_cores, need.bytes_per_second) == (4, 600_000.0)
    assert service_need("host:1", 299.0, 1000.0, 500).worker_cores == 5
    assert need.describe(1000.0) == (
        "A core like this machine's makes 300 images/s through a data service:"
        " 4 worker cores feed a device that takes 1,000 images/s with 20% to spare,"
        " over a network that carries 585.9 KiB/s."
    )


@pytest.fixture
def own_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a process on one core, which takes seconds to start."""

    @contextmanager
    def quick() -> Iterator[str]:
        with in_process_service(workers=1) as address:
            yield address

    monkeypatch.setattr(service, "_one_core_service", quick)


@pytest.mark.slow
@pytest.mark.usefixtures("own_service")
def test_the_bench_goes_through_the_service(
    record_sets: dict[StorageName, Path],
) -> None:
    with in_process_service() as address:
        config = BenchConfig(
            seconds=0.02, batch_size=4, image_size=SIDE, data_service=address
        )
        report = run_bench(record_sets["jpeg"], config).to_json()
    stages = [rung["stage"] for rung in report["rungs"]]
    assert stages == ["shuffle", "data service", "prefetch", "augment"]
    assert (report["reader"], report["reader_reason"]) == ("data service", address)
    assert set(report["limits"]) == {ONE_CORE, "augment alone"}
    core, demand = report["limits"][ONE_CORE], report["limits"]["augment alone"]
    need = service_need(address, core, demand, 3 * SIDE**2)
    assert report["data_service"] == asdict(need)
    assert "worker core" in report["advice"]
    assert report["predictions"] == ()


@pytest.mark.slow
def test_a_worker_on_one_core_delivers(record_sets: dict[StorageName, Path]) -> None:
    records = open_records(record_sets["jpeg"])
    deliveries = one_core(records, BenchConfig(batch_size=4))
    assert [next(deliveries) for _ in range(3)] == [4, 4, 4]
    deliveries.close()
