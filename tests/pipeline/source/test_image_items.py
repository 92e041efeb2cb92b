"""Images to predict: what a build would take of the same place, one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.source.image_items import find_images
from alexnet.pipeline.source.scan import scan
from tests.conftest import slow
from tests.pipeline.source.test_labels import KAGGLE, many
from tests.pipeline.source.test_scan import JPEG, images
from tests.pipeline.source.test_stores import ARCHIVES, PACKS, Pack, write_files
from tests.remote import upload


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
    for key in ("1.jpg", "sub/2", "a.csv"):
        (bucket / key).write_bytes(JPEG)
    places = [bucket / key for key in ("sub/2", "1.jpg", "gone.jpg")]
    found = list(find_images(places))
    assert [item.name for item in found] == [str(place) for place in places]
    assert found[0].read() == found[1].read() == JPEG
    with pytest.raises(OSError, match="No such file"):
        found[2].read()
    with pytest.raises(DataError, match=r"a\.csv is a table at a URL"):
        names(bucket / "a.csv")
