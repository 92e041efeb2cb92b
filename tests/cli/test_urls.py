"""A URL is kept whole or refused by name, and never made a folder of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from alexnet.cli.main import app
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import require_local
from alexnet.pipeline.read.image_folder import open_data
from alexnet.pipeline.records.manifest import load_manifest
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.source.scan import scan
from tests.cli.conftest import alexnet, failure, parse


def path_words(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """For every parameter that is a path: a command line that lacks but its value."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from path_words(inner, (*words, name))
    for parameter in () if hasattr(command, "commands") else command.params:
        if "Path" in str(parameter.type_descriptor.annotation):
            is_option = parameter.opts[0].startswith("--")
            yield (*words, parameter.opts[0]) if is_option else words


PATH_WORDS = sorted(set(path_words(get_command(app))))
URLS = ["gs://bucket/x", "s3://b/train.zip", "hdfs://host:8020/x", "file:///data/x"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to be in, which stays empty."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def test_there_are_paths_to_be_tried() -> None:
    known = {"fit --run", "predict --csv", "export", "records estimate --out"}
    assert known <= {" ".join(words) for words in PATH_WORDS}


@pytest.mark.parametrize("words", PATH_WORDS, ids=" ".join)
def test_every_path_of_every_command_may_not_be_a_url(words: tuple[str, ...]) -> None:
    said = failure(*words, URLS[0])
    assert said.startswith("gs://bucket/x is a URL. Give a file or folder on this")
    if words[-1].startswith("--"):
        assert failure(*words[:-1], f"{words[-1]}={URLS[0]}") == said


def test_what_takes_urls_keeps_them_whole() -> None:
    url = "nosuch://bucket//x"
    for words in (
        ("records", "build", url),
        ("records", "verify", url),
        ("records", "estimate", url),
    ):
        assert f"{url.partition('//x')[0]}" in failure(*words)
    taken = parse(["records", "build", url, f"--out={url}"])
    assert taken["source"] == taken["out"] == Location(url)
    assert parse(["records", "verify", "file:///data/x"])["data"] == Path("/data/x")
    assert parse(["records", "verify"])["data"] == Path("records")


def test_urls_in_the_wrong_place_do_not_hide_the_parsers_word() -> None:
    for words in (["nosuch", "s3://b"], ["fit", "--nosuch", "s3://b"], ["records"]):
        assert alexnet(*words).code == 2


@pytest.mark.parametrize("url", URLS)
def test_the_library_refuses_them_too(url: str, photos: Path) -> None:
    path, wrong = Path(url), rf"^{url.partition('://')[0]}://.* is a URL"
    source = scan(photos)
    for use in (
        lambda: build(source, path, BuildConfig(side=16), workers=1),
        lambda: scan(path),
        lambda: load_manifest(path),
        lambda: open_data(path),
        lambda: RunFolder(path),
    ):
        with pytest.raises(DataError, match=wrong):
            use()


@pytest.mark.parametrize(
    "path", ["x", "/data/gs:/x", "a:/x", "12:30/x", "my photos: new/x", "x:y", "s3:b"]
)
def test_paths_with_colons_are_paths(path: str) -> None:
    require_local(path)
    require_local(Path(path))


@pytest.mark.parametrize(
    "words",
    [
        ("--beam-options", "--flink_master=http://host:8081 --temp=gs://b/x"),
        ("--beam-options=--flink_master=http://host:8081",),
        ("--beam-options", "http://host:8081"),
    ],
)
def test_what_beam_is_told_may_hold_urls(words: tuple[str, ...]) -> None:
    ended = alexnet("records", "build", "gone", "--runner", "beam", *words)
    assert "no such folder: " in ended.err
