"""Label tables as people have them: every spelling, every way to name a file."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.source.csv_names import FileNames
from alexnet.pipeline.source.scan import scan
from tests.pipeline.source.test_scan import images, labelled
from tests.pipeline.source.test_stores import write_files

KEYS = [f"{kind}{number}.jpg" for number in range(3) for kind in ("cat", "dog")]
EXPECTED = {key: key[:3] for key in KEYS}


def lines(head: str, row: str) -> str:
    """A table of KEYS: `{f}` is a file's name, `{n}` that without ending, `{c}` its
    class."""
    rows = (row.format(f=key, n=key[:-4], c=key[:3]) for key in KEYS)
    return "\n".join([head, *rows, ""])


@pytest.mark.parametrize("name", ["labels.csv", "LABELS.CSV", "labels.tsv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize(
    "text",
    [
        lines("filename,label", "{f},{c}"),
        lines("filename;label", "{f};{c}"),
        lines("filename\tlabel", "{f}\t{c}"),
        lines("filename, label", "{f}, {c}"),
        lines("File Name,LABEL", "{f},{c}"),
        lines("sep=;\nfilename;label", "{f};{c}"),
        lines("\n\nfilename,label", "{f},{c}"),
        lines("# exported, 2026\nfilename,label", "{f},{c}"),
        lines("#filename,label", "{f},{c}"),
        lines('"filename","label"', '"{f}","{c}"'),
        lines("'filename','label'", "'{f}','{c}'"),
        lines(",filename,label", "7,{f},{c}"),
        lines("label,filename", "{c},{f}"),
    ],
)
def test_a_table_is_read_as_it_is_written(
    tmp_path: Path, text: str, encoding: str, name: str
) -> None:
    write_files(tmp_path, {**images(*KEYS), name: text.encode(encoding)})
    source = scan(tmp_path)
    assert labelled(source) == EXPECTED
    assert source.ignored == source.warnings == ()


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ("{n},{c}", "{}"),
        ("./{f},{c}", "{}"),
        ("train/{f},{c}", "train/{}"),
        ("train\\{f},{c}", "train/{}"),
        ("{f},{c}", "images/{}"),
        ("{n},{c}", "deep/images/{}"),
        ("photos/{f},{c}", "{}"),
        ("TRAIN/{n}.JPG,{c}", "train/{}"),
    ],
)
def test_a_name_finds_the_one_file_that_fits(
    tmp_path: Path, row: str, place: str
) -> None:
    text = lines("filename,label", row).encode()
    files = images(*(place.format(key) for key in KEYS))
    write_files(tmp_path, {**files, "labels.csv": text})
    found = {place.format(key): name for key, name in EXPECTED.items()}
    assert labelled(scan(tmp_path)) == found


def test_absolute_names_inside_the_folder_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "real"
    text = lines("filename,label", f"{folder}/{{f}},{{c}}").encode()
    write_files(folder, {**images(*KEYS), "labels.csv": text})
    (tmp_path / "link").symlink_to(folder)
    assert labelled(scan(folder)) == labelled(scan(tmp_path / "link")) == EXPECTED


def test_unicode_forms_are_one_name(tmp_path: Path) -> None:
    disk, table = (unicodedata.normalize(form, "café.jpg") for form in ("NFD", "NFC"))
    text = f"filename,label\n{table},coffee\ntea.jpg,tea\n".encode()
    write_files(tmp_path, {**images(disk, "tea.jpg"), "labels.csv": text})
    assert labelled(scan(tmp_path)) == {disk: "coffee", "tea.jpg": "tea"}


def test_names_that_fit_nothing_are_told_with_what_is_near(tmp_path: Path) -> None:
    text = lines("filename,label", "{n}.png,{c}").encode()
    files = images(*(f"images/{key}" for key in KEYS))
    write_files(tmp_path, {**files, "labels.csv": text})
    told = "labels.csv fits a file, such as 'cat0.png'; did you mean images/cat0.jpg"
    with pytest.raises(DataError, match=f"none of the 6 names in {tmp_path}/{told}"):
        scan(tmp_path)


def test_a_name_that_fits_nothing_among_others_stays_to_be_set_aside(
    tmp_path: Path,
) -> None:
    text = lines("filename,label", "{f},{c}") + "gone.jpg,cat\n"
    write_files(tmp_path, {**images(*KEYS), "labels.csv": text.encode()})
    assert labelled(scan(tmp_path)) == {**EXPECTED, "gone.jpg": "cat"}


def match(keys: str, *wanted: str) -> dict[str, str]:
    return FileNames(keys.split(), "", None).match(wanted)


def test_a_name_that_two_files_fit_means_neither() -> None:
    assert match("a/1.jpg b/1.jpg", "1.jpg") == {}
    assert match("train/1.jpg test/1.jpg", "1") == {"1": "train/1.jpg"}
    assert match("1.jpg 1.png", "1") == {}


def test_a_file_that_two_names_fit_is_the_exact_ones() -> None:
    assert match("a.jpg", "a.jpg", "A.jpg") == {"a.jpg": "a.jpg"}
    assert match("a.jpg", "A.JPG", "A.jpg") == {}
    # b/1.jpg is another picture than a/1.jpg.
    assert match("a/1.jpg", "a/1.jpg", "b/1.jpg") == {"a/1.jpg": "a/1.jpg"}


def test_columns_that_say_nothing_are_named(tmp_path: Path) -> None:
    text = lines("filename,label,weight,note", "{f},{c},1,x").encode()
    source = scan(write_files(tmp_path, {**images(*KEYS), "labels.csv": text}))
    assert labelled(source) == EXPECTED
    (warning,) = source.warnings
    assert warning.endswith("not the columns weight, note")


def test_images_beside_a_table_that_names_others_are_told(tmp_path: Path) -> None:
    text = lines("filename,label", "{f},{c}").encode()
    files = images(*KEYS, "x/7.jpg", "8.jpg")
    source = scan(write_files(tmp_path, {**files, "labels.csv": text}))
    assert labelled(source) == EXPECTED
    assert source.ignored == ("8.jpg", "x/7.jpg")
    assert source.warnings == ("2 images not named by the table, and left out",)


def test_a_split_column_gives_the_splits(tmp_path: Path) -> None:
    words = ["train", "Train", "valid", "val", "test", "testing"]
    rows = [f"{key},{key[:3]},{word}" for key, word in zip(KEYS, words, strict=True)]
    text = "\n".join(["filename,label,split", *rows]).encode()
    source = scan(write_files(tmp_path, {**images(*KEYS), "labels.csv": text}))
    found = {file.key: file.split for file in source.files}
    splits = ["train"] * 2 + ["validation"] * 2 + ["test"] * 2
    assert found == dict(zip(KEYS, splits, strict=True))


@pytest.mark.parametrize("name", ["sample_submission.csv", "sampleSubmission.csv"])
def test_a_contests_form_is_no_label_table(tmp_path: Path, name: str) -> None:
    """It names the test images, with labels that are made up."""
    form = b"filename,label\n1.jpg,cat\n2.jpg,cat\n"
    train = images("train/cat/3.jpg", "train/dog/4.jpg")
    files = {**train, **images("test/1.jpg", "test/2.jpg"), name: form}
    source = scan(write_files(tmp_path, files))
    assert labelled(source) == {"train/cat/3.jpg": "cat", "train/dog/4.jpg": "dog"}
    assert source.unlabelled == (("test/", 2),)
    write_files(tmp_path, {"train.csv": b"filename,label\n3,a\n4,b\n"})
    assert set(labelled(scan(tmp_path)).values()) == {"a", "b"}


@pytest.mark.parametrize("folder", ["", "{}/"])
def test_tables_may_be_those_of_splits(tmp_path: Path, folder: str) -> None:
    files: dict[str, bytes] = {}
    for split in ("train", "test"):
        here = folder.format(split)
        name = "labels" if folder else split
        files |= images(*(f"{here}images/{split}{i}.jpg" for i in range(4)))
        rows = [f"images/{split}{i}.jpg,{'ab'[i % 2]}" for i in range(4)]
        files[f"{here}{name}.csv"] = "\n".join(["filename,label", *rows]).encode()
    source = scan(write_files(tmp_path, files))
    assert {file.key.rpartition("/")[2][:-5]: file.split for file in source.files} == {
        "train": "train",
        "test": "test",
    }
    assert len(source.files) == 8
