"""Commands on a record set in a store: the words are those of a local one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from alexnet.pipeline.remote import retry
from tests.cli.conftest import SMALL, alexnet, alexnet_json, failure
from tests.web_store import WebStore, serve


@pytest.fixture
def store(train_records: Path) -> Iterator[WebStore]:
    with serve(train_records.parent) as store:
        yield store


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a cache is made that nobody named."""
    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home" / "alexnet"


@pytest.mark.slow
def test_a_run_from_a_store_is_that_from_a_folder_and_goes_on_without_it(
    store: WebStore,
    train_records: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url, cache = f"{store.url}/records", tmp_path / "cache"
    words = (*SMALL, "--epochs", 2, "--variant", "bn")
    ended = alexnet(
        *("fit", url, "--run", "one", "--cache", cache, "--cache-limit", "1GiB"),
        *(*words, "--json"),
    )
    assert ended.code == 0, ended.err
    assert "the first epoch streams shards" in ended.err
    local = alexnet_json(
        "fit", train_records, "--run", "two", *words, "--reader", "stream-first"
    )
    assert ended.json["validation"] == local["validation"]
    assert ended.json["train"] == local["train"]
    assert set(store.shards_sent.values()) == {1}
    settings = json.loads(Path("one/config.json").read_text())
    assert settings["data"] == url
    assert settings["train"]["cache"] == str(cache)
    store.failures = float("inf")  # all that follows is of the cache
    longer = ("--resume", "--epochs", 3, "--json")
    resumed = alexnet("fit", "--run", "one", *longer)
    assert resumed.code == 0, resumed.err
    assert "does not answer: reading what" in caplog.text
    assert resumed.json["epochs"] == 3
    report = alexnet_json("evaluate", "one")
    assert report["data"] == url
    assert report["own_records"]


@pytest.mark.slow
def test_a_run_goes_on_with_another_cache(store: WebStore, tmp_path: Path) -> None:
    url = f"{store.url}/records"
    words = (*SMALL, "--epochs", 1, "--run", "run", "--cache", tmp_path / "a")
    alexnet_json("fit", url, *words)
    more = ("--run", "run", "--resume", "--epochs", 2, "--cache", tmp_path / "b")
    assert alexnet_json("fit", *more)["epochs"] == 2
    assert set(store.shards_sent.values()) == {2}


def test_facts_and_pictures_of_a_set_in_a_store(
    store: WebStore, train_records: Path, home: Path, tmp_path: Path
) -> None:
    url = f"{store.url}/records"
    facts = alexnet_json("records", "info", url)
    local = alexnet_json("records", "info", train_records)
    assert facts["data"] == url
    assert facts["reader"]["name"] == "stream-first"
    assert facts["splits"] == local["splits"]
    assert not store.shards_sent
    drawn = alexnet_json("records", "show", url, "--out", tmp_path / "sheet.png")
    assert drawn["data"] == url
    assert len(store.shards_sent) == 1
    assert list(home.rglob("*.tfrecord"))


@pytest.mark.slow
def test_the_bench_reads_what_it_has_fetched(store: WebStore) -> None:
    words = ("--seconds", 0.05, "--batch-size", 8, "--image-size", 67)
    report = alexnet_json(
        *("bench", "input-pipeline", f"{store.url}/records", *words),
        "--no-train-step",
    )
    assert report["data"] == f"{store.url}/records"
    assert report["reader"] == "mmap"


def test_what_is_not_there_is_named(store: WebStore) -> None:
    said = failure("fit", f"{store.url}/gone", "--run", "run")
    assert f"{store.url}/gone" in said
    assert not Path("run").exists()
    assert not list(Path().glob("http*"))
