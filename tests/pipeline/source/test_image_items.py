"""Images to predict: what a build would take of the same place, one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alexnet.pipeline.errors import DataError, RemoteError
from alexnet.pipeline.remote import retry
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.source.image_items import find_images
from alexnet.pipeline.source.scan import scan
from tests.conftest import every_s3, slow
from tests.pipeline.source.test_labels import KAGGLE, many
from tests.pipeline.source.test_scan import JPEG, images
from tests.pipeline.source.test_stores import ARCHIVES, PACKS, Pack, as_zip, write_files
from tests.remote import link_to, upload
from tests.s3 import S3
from tests.web_store import serve


def names(*paths: Place) -> list[str]:
    return [item.name for item in find_images(paths)]


@pytest.mark.parametrize("pack", PACKS)
def test_a_place_holds_what_a_build_takes_from_it(tmp_path: Path, pack: Pack) -> None:
    odd = {**images("cat/7", "dog/8.dat"), "cat/notes.txt": b"text"}
    own = {"runs/a/config.json": b"", "runs/a/checkpoints/x": b"", "runs/a/1.png": JPEG}
    files = {**many("cat/{}.jpg", "dog/{}.jpg", "@eaDir/{}.jpg"), **odd, **own}
    place = pack(write_files(tmp_path / "photos", files), tmp_path / "packed", "")
    built = [file.key for file in scan(place).files]
    assert names(place) == [str(place / key) for key in built]
    assert {item.read() for item in find_images([place])} == {JPEG}


def test_links_are_followed(tmp_path: Path) -> None:
    outside = write_files(tmp_path / "outside", images("1.jpg"))
    folder = write_files(tmp_path / "photos", images("2.jpg"))
    (folder / "more").symlink_to(outside)
    (folder / "3").symlink_to(outside / "1.jpg")
    found = [name.removeprefix(f"{folder}/") for name in names(folder)]
    assert found == ["2.jpg", "3", "more/1.jpg"]


@pytest.mark.parametrize("pack", ARCHIVES)
def test_a_folder_in_an_archive_can_be_named(tmp_path: Path, pack: Pack) -> None:
    packed = pack(write_files(tmp_path / "all", KAGGLE), tmp_path / "packed", "")
    expected = [str(packed / f"test1/{number}.jpg") for number in range(6)]
    assert names(packed / "test1") == expected
    assert names(packed / "test1/3.jpg") == expected[3:4]
    with pytest.raises(DataError, match=r"no images in .*packed/gone\. Expected an"):
        names(packed / "gone")


def test_a_table_names_images_in_its_order(tmp_path: Path) -> None:
    table = b"filename,id\nb,1\nimages/a.jpg,2\ngone.jpg,3\n"
    write_files(tmp_path, {**images("images/a.jpg", "images/b.jpg"), "x.csv": table})
    found = [name.removeprefix(f"{tmp_path}/") for name in names(tmp_path / "x.csv")]
    assert found == ["images/b.jpg", "images/a.jpg", "gone.jpg"]
    *_, gone = find_images([tmp_path / "x.csv"])
    with pytest.raises(OSError, match="No such file"):
        gone.read()


def test_files_and_patterns(tmp_path: Path) -> None:
    write_files(tmp_path, images("1.jpg", "2.jpg", "[a].jpg", "sub/3.jpg"))
    files = [tmp_path / name for name in ("2.jpg", "[a].jpg", "gone.jpg")]
    assert names(*files) == [str(path) for path in files]
    assert names(tmp_path / "?.jpg") == [str(tmp_path / f"{i}.jpg") for i in (1, 2)]
    assert names(tmp_path / "s*") == [str(tmp_path / "sub" / "3.jpg")]
    with pytest.raises(DataError, match=r"no file fits .*\.gif"):
        names(tmp_path / "*.gif")
    with pytest.raises(DataError, match=r"no images in"):
        names(write_files(tmp_path / "empty", {"notes.txt": b"text"}))


@pytest.mark.parametrize("pack", [slow(PACKS[0]), PACKS[1]])
def test_a_place_at_a_url_holds_what_it_holds_here(
    tmp_path: Path, bucket: Location, pack: Pack
) -> None:
    files = {**images("2.jpg", "10.jpg", "sub/3"), "notes.txt": b"text"}
    place = pack(write_files(tmp_path / "photos", files), tmp_path / "packed", "")
    there = bucket / place.name
    if place.is_dir():
        upload(place, there)
    else:
        there.write_bytes(place.read_bytes())
    expected = [name.replace(str(place), str(there)) for name in names(place)]
    assert len(expected) == 3 and names(there) == expected
    assert {item.read() for item in find_images([there])} == {JPEG}


def test_files_at_a_url(bucket: Location) -> None:
    for key in ("1.jpg", "sub/2", "text"):
        (bucket / key).write_bytes(JPEG if key != "text" else b"text")
    places = [bucket / key for key in ("sub/2", "1.jpg", "text", "gone.jpg", "x.csv")]
    found = list(find_images(places))
    assert [item.name for item in found] == [str(place) for place in places]
    assert [item.read() for item in found[:3]] == [JPEG, JPEG, b"text"]
    for gone in found[3:]:
        with pytest.raises(OSError, match="No such file"):
            gone.read()


# Photos, an archive of two more, a table of two, and what is no image.
PATTERNED = {
    **images("10.jpg", "2.jpg", "[a].jpg", "sub/3.jpg", "sub/11", "sub/in/4.jpg"),
    "some.csv": b"filename\nsub/3\n2.jpg\ngone.jpg\n",
    "notes.txt": b"text",
    "sub/notes.txt": b"text",
}


PATTERNS = (
    *("*.jpg", "?.jpg", "[0-9]*.jpg", "[[]a].jpg", "[a].jpg", "s*b", "s*b/*.jpg"),
    *("*/in/*", "**/4.jpg", "s**", "*.csv", "*.zip", "*t*"),
)


@pytest.mark.slow
@every_s3
def test_a_pattern_fits_at_a_url_what_it_fits_here(
    tmp_path: Path, bucket: Location
) -> None:
    here = write_files(tmp_path / "all", PATTERNED)
    packed = write_files(tmp_path / "packed", images("7.jpg", "8.jpg"))
    as_zip(packed, here / "two.zip", "")
    there = upload(here, bucket / "all")
    for pattern in PATTERNS:
        expected = list(find_images([here / pattern]))
        found = list(find_images([there / pattern]))
        assert expected
        assert [item.name for item in found] == [
            item.name.replace(str(here), str(there)) for item in expected
        ]
        for ours, theirs in zip(found, expected, strict=True):
            if "gone" not in ours.name:
                assert ours.read() == theirs.read()


@every_s3
def test_a_table_at_a_url_names_images_in_its_order(
    tmp_path: Path, bucket: Location
) -> None:
    table = f"filename\tid\nb\t1\n{bucket}/images/a.jpg\t2\ngone.jpg\t3\nb\t4\n"
    files = {**images("images/a.jpg", "images/b.jpg"), "x.tsv": table.encode()}
    upload(write_files(tmp_path, files), bucket)
    *found, gone, again = find_images([bucket / "x.tsv"])
    expected = [f"{bucket}/images/{name}.jpg" for name in "bab"]
    assert [item.name for item in (*found, again)] == expected
    assert {item.read() for item in (*found, again)} == {JPEG}
    assert gone.name == f"{bucket}/gone.jpg"
    with pytest.raises(OSError, match="No such file"):
        gone.read()


def test_a_table_on_the_web_names_what_lies_beside_it(tmp_path: Path) -> None:
    write_files(tmp_path, images("in/1 .jpg", "2.jpg", "3.jpg"))
    with serve(tmp_path) as web:
        table = f"filename\n2.jpg\nin/1 .jpg\n{web.url}/3.jpg\ngone.jpg\n"
        (tmp_path / "x.csv").write_text(table)
        *found, gone = find_images([Location(f"{web.url}/x.csv")])
        expected = ["2.jpg", "in/1%20.jpg", "3.jpg"]
        assert [item.name for item in found] == [f"{web.url}/{x}" for x in expected]
        assert {item.read() for item in found} == {JPEG}
        with pytest.raises(OSError, match="No such file"):
            gone.read()


def test_what_names_no_images_at_a_url_is_told_by_its_address(
    bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bucket / "a/1.jpg").write_bytes(JPEG)
    (bucket / "a/x.csv").write_bytes(b"id,label\n1,0.5\n")
    (bucket / "a/y.csv").write_bytes(b"filename\nz.jpg\n")
    for pattern in ("a/*.gif", "none/*.jpg", "a/[b-z].jpg"):
        with pytest.raises(DataError, match=rf"no file fits {bucket}/.*\. Expected an"):
            names(bucket / pattern)
    with pytest.raises(DataError, match=f"^{bucket}/a/x.csv lacks the column filename"):
        names(bucket / "a/x.csv")
    with pytest.raises(DataError, match=f"names in {bucket}/a/y.csv fits a file"):
        names(bucket / "a/y.csv")
    with pytest.raises(DataError, match=r"https://host/\*\.jpg: a web server lists no"):
        monkeypatch.setattr(Location, "exists", lambda self: False)
        names(Location("https://host/*.jpg"))


def test_a_store_that_is_away_is_told_by_its_address(
    s3: S3, bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.0)
    with link_to(s3) as link:
        away = Location(bucket.url, {"endpoint_url": link.endpoint})
    for key in ("*.jpg", "x.csv", "1.jpg", "test"):
        with pytest.raises(RemoteError, match=rf"^{bucket}.* has not answered"):
            names(away / key)


def test_many_files_of_a_pattern_are_read_ahead(
    bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several folders too, and a store is asked for nothing but its list."""
    for key in ("1.jpg", "a/2.jpg", "b/3.jpg"):
        (bucket / key).write_bytes(JPEG)
    asked = list[Location]()
    info = Location.info

    def count(self: Location) -> dict[str, Any]:
        asked.append(self)
        return info(self)

    monkeypatch.setattr(Location, "info", count)
    items = list(find_images([bucket / "[1ab]*"]))
    assert len(items) == 3 and {item.store for item in items} == {items[0].store}
    assert len(asked) == 2  # the pattern itself, and its folder
