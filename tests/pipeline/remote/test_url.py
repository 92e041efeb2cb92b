"""Addresses are joined like paths, and printed without what is secret in them."""

from __future__ import annotations

import pytest

from alexnet.pipeline.errors import ConfigError, DataError
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import as_place


@pytest.mark.parametrize(
    ("url", "name", "parent", "joined"),
    [
        ("s3://b/x/train.csv", "train.csv", "s3://b/x", "s3://b/x/train.csv/a/1.jpg"),
        ("s3://b/x/", "x", "s3://b", "s3://b/x/a/1.jpg"),
        ("s3://b", "", "s3://b", "s3://b/a/1.jpg"),
        ("s3://b/what?.jpg", "what?.jpg", "s3://b", "s3://b/what?.jpg/a/1.jpg"),
        ("gs://b/x y", "x y", "gs://b", "gs://b/x y/a/1.jpg"),
        ("http://h:80/x%20y.zip", "x y.zip", "http://h:80", "http://h:80/x%20y.zip/a/1.jpg"),
        ("https://h/r?sig=1", "r", "https://h?sig=1", "https://h/r/a/1.jpg?sig=1"),
        ("zip://in::s3://b/x.zip", "", "zip://in::s3://b/x.zip", "zip://in/a/1.jpg::s3://b/x.zip"),
        ("simplecache::s3://b/x", "x", "simplecache::s3://b", "simplecache::s3://b/x/a/1.jpg"),
        ("hdfs:///data/x", "x", "hdfs:///data", "hdfs:///data/x/a/1.jpg"),
    ],
)  # fmt: skip
def test_parts(url: str, name: str, parent: str, joined: str) -> None:
    location = Location(url)
    assert location.name == name
    assert location.parent.url == parent
    assert (location / "a/1.jpg").url == joined
    assert location.absolute() is location


def test_names_on_the_web_are_quoted() -> None:
    assert (
        Location("https://h/x") / "a b/#1?.jpg"
    ).url == "https://h/x/a%20b/%231%3F.jpg"
    assert (Location("https://h/x") / "a b/#1?.jpg").name == "#1?.jpg"
    assert Location("s3://b/x.tar.gz").suffix == ".gz"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/x", "s3://bucket/x"),
        ("https://h/x.zip?X-Amz-Signature=5ec7et", "https://h/x.zip?..."),
        ("https://me:5ec7et@h/x", "https://h/x"),
        ("https://5ec7et@h/x", "https://h/x"),
        ("ftp://me:5ec7et@h/x", "ftp://h/x"),
        ("abfs://container@account.dfs.core.windows.net/x",) * 2,
        ("zip://a::https://h/x.zip?sig=5ec7et", "zip://a::https://h/x.zip?..."),
    ],
)
def test_nothing_secret_is_printed(url: str, shown: str) -> None:
    location = Location(url, {"secret": "5ec7et"})
    assert str(location) == f"{location}" == shown
    assert "5ec7et" not in f"{location!r} {location._options!r}"


@pytest.mark.parametrize("text", ["records", "s3:", "s3:/b", "C:\\x", "a b://c", ""])
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(ConfigError, match="is no URL"):
        Location(text)


def test_a_place_is_a_path_or_a_location(tmp_path: object) -> None:
    assert as_place(f"file://{tmp_path}/a%20b") == as_place(f"{tmp_path}/a b")
    assert (
        as_place("s3://b/x") == Location("s3://b/x") == as_place(Location("s3://b/x"))
    )
    assert Location("s3://b/x") != Location("s3://b/y")
    assert len({Location("s3://b/x"), Location("s3://b/x")}) == 1


def test_a_path_made_of_a_url_is_named() -> None:
    from pathlib import Path

    with pytest.raises(
        DataError, match=r"^s3://b/x is a URL, of which a Path keeps one"
    ):
        as_place(Path("s3://b/x"))


def test_no_system_call_takes_a_location() -> None:
    """So that no folder called `s3:` is ever made."""
    with pytest.raises(TypeError):
        open(Location("s3://b/x"))  # type: ignore[call-overload]  # noqa: SIM115, PTH123
