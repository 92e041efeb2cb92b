"""What a scan makes of folders people have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from alexnet.pipeline.config import LabelSource
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.source.scan import Source, scan
from tests.pipeline.source.test_stores import PACKS, Pack, write_files

JPEG = b"\xff\xd8\xff\xe0 and so on"
WEBP = b"RIFF\x10\0\0\0WEBPVP8 "


def images(*keys: str) -> dict[str, bytes]:
    return dict.fromkeys(keys, JPEG)


def labelled(source: Source) -> dict[str, str]:
    return {file.key: source.class_names[file.label] for file in source.files}


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize(
    ("kind", "files", "expected"),
    [
        (
            "folder",
            images("dog/1.jpg", "cat/1.jpg", "cat/old/2.JPG"),
            {"cat/1.jpg": "cat", "cat/old/2.JPG": "cat", "dog/1.jpg": "dog"},
        ),
        (
            "name",
            images("dog.10.jpg", "cat.9.jpg", "cat.10.jpg"),
            {"cat.10.jpg": "cat", "cat.9.jpg": "cat", "dog.10.jpg": "dog"},
        ),
        (
            "csv",
            {
                **images("a.jpg", "sub/b.jpg", "c.jpg"),
                "labels.csv": b"\xef\xbb\xbffilename,label\r\n"
                b'sub/b.jpg,"big, cat"\r\na.jpg, dog \r\na.jpg,dog\r\n',
            },
            {"a.jpg": "dog", "sub/b.jpg": "big, cat"},
        ),
    ],
)
def test_labels_are_found_in_every_layout(
    tmp_path: Path,
    pack: Pack,
    kind: str,
    files: dict[str, bytes],
    expected: dict[str, str],
) -> None:
    folder = write_files(tmp_path / "photos", files)
    source = scan(pack(folder, tmp_path / "packed", ""))
    assert source.labels == kind
    assert labelled(source) == expected
    assert [file.key for file in source.files] == sorted(expected)
    assert list(source.class_names) == sorted(set(expected.values()))
    sizes = {key: len(files[key]) for key in expected}
    assert {file.key: file.size_bytes for file in source.files} == sizes


def test_a_csv_can_be_named_and_may_name_missing_files(tmp_path: Path) -> None:
    text = "label,filename\ncat,1.jpg\ndog,gone.jpg\n"
    write_files(tmp_path, {**images("1.jpg", "2.jpg"), "set.csv": text.encode()})
    source = scan(tmp_path / "set.csv")
    assert labelled(source) == {"1.jpg": "cat", "gone.jpg": "dog"}
    assert source.ignored == ("2.jpg",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "cat,1.jpg\n",
            r"lacks the column filename and label \(it has cat, 1.jpg\); its first",
        ),
        ("filename,class\n1.jpg,cat\n", "lacks the column label"),
        ("filename,label\n", "names no files"),
        ("filename,label\n1.jpg,\n", "line 2: filename or label is empty"),
        ("filename,label\n1.jpg\n", "line 2: filename or label is empty"),
        (
            "filename,label\n1.jpg,cat\n2.jpg,cat\n1.jpg,dog\n",
            "line 4: 1.jpg has two labels, cat and dog",
        ),
        ("filename,label\n../1.jpg,cat\n", r"line 2: \.\./1.jpg leaves the folder"),
        ("filename,label\n/etc/1.jpg,cat\n", "line 2: /etc/1.jpg leaves the folder"),
        (
            "filename,label\n1.jpg,M\xfccke\n",
            "set.csv, line 2: this is not UTF-8 text. Save",
        ),
        (
            "filename,label\n1.jpg,cat\n2.jpg,d\0g\n",
            "set.csv, line 3: this is not UTF-8 text",
        ),
        (
            "\xff\xfef\0i\0l\0e\0n\0a\0m\0e\0,\0l\0a\0b\0e\0l\0\n\0",
            "set.csv names no files",
        ),
        (
            "\xff\xfef\0i\0l\0e\0n\0a\0m\0e\0,\0l\0a\0b\0e\0l\0\n\0a",
            "set.csv, line 2: this is not UTF-8 text",
        ),
        (
            'filename,label\n1.jpg,cat\n2.jpg,"dog\n3.jpg,cat\n',
            "line 3 or after: unexpected end of data. Is a quote left open",
        ),
        (
            'filename,label\n1.jpg,"cat\n2.jpg,"dog"\n',
            "line 2 or after: ',' expected after '\"'",
        ),
        (
            'filename,label\n1.jpg,"cat\n2.jpg,dog\n3.jpg,cat"\n',
            "line 4: label 'cat.n2.jpg,dog.n3.jpg,cat' has two lines: is a quote open",
        ),
        (
            f"filename,label\n1.jpg,cat\n2.jpg,{'x' * 200_000}\n",
            "line 3 or after: field larger than field limit",
        ),
        ("filename:label\n1.jpg:cat\n", "lacks the column filename and label"),
        ("filename,label,label\n1.jpg,a,b\n", "set.csv has 2 columns called label"),
        ("filename,label,split\n1.jpg,a,b\n", "line 2: split is 'b'; it needs train"),
        ("filename,label,split\n1.jpg,a,\n", "line 2: split is ''; it needs train"),
        (
            "filename,label,split\n1.jpg,a,train\n1.jpg,a,test\n",
            "line 3: 1.jpg is in two splits, train and test",
        ),
        ("", "lacks the column filename and label"),
        ("filename,label\na/../../1.jpg,cat\n", "line 2: .*1.jpg leaves the folder"),
    ],
)
def test_a_csv_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    write_files(tmp_path, {**images("1.jpg"), "set.csv": text.encode("latin-1")})
    with pytest.raises(DataError, match=message):
        scan(tmp_path / "set.csv")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_csv_of_any_system(tmp_path: Path, end: str, mark: str) -> None:
    lines = ["label,filename,note", "cat,./1.jpg,", "", "cat,1.jpg"]
    text = mark + end.join([*lines, 'größe,"a\nb.jpg",x,y'])
    write_files(tmp_path, {**images("1.jpg"), "set.csv": text.encode()})
    source = scan(tmp_path / "set.csv")
    assert labelled(source) == {"1.jpg": "cat", "a\nb.jpg": "größe"}
    assert source.ignored == ()


def test_a_csv_may_name_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    table = b"filename,label\nsub,cat\npipe.jpg,cat\n1.jpg,cat\n"
    write_files(tmp_path, {**images("1.jpg"), "set.csv": table})
    source = scan(tmp_path / "set.csv")
    assert labelled(source) == dict.fromkeys(["1.jpg", "pipe.jpg", "sub"], "cat")
    open_files = len(list(Path("/dev/fd").iterdir()))
    for key in ("pipe.jpg", "sub"):
        with pytest.raises(OSError, match="not a regular file"):
            source.store.read(key)
    assert len(list(Path("/dev/fd").iterdir())) == open_files


@pytest.mark.parametrize(
    ("files", "labels", "message"),
    [
        ({}, "auto", "no images in .*: it holds no files"),
        ({"readme.txt": b"hello"}, "auto", "no images in .*: found 1 other file"),
        (
            images("cat/1.jpg", "dog.2.jpg"),
            "auto",
            r"mixes .* \(1, such as cat/1.jpg\) .* \(1, such as dog.2.jpg\)",
        ),
        (
            images("train/1.jpg", "Test/2.jpg"),
            "auto",
            "Test, train is named .* carry no label.*Say `labels='folder'`",
        ),
        (images("cat.1.jpg", "2.jpg"), "auto", "1 of 2 names carry no label.*'2.jpg'"),
        (images("cat/1.jpg", "2.jpg"), "folder", "1 of 2 images lie in no class"),
        (images("cat/1.jpg"), "name", "1 image, and none has a label"),
        (images("1.jpg"), "folder", "the images of .* lie in no class folders"),
        (images("cat/1.jpg"), "csv", "no CSV file with the columns filename,label"),
        (
            {f"{name}.csv": b"filename,label\n1.jpg,a\n" for name in "ab"},
            "auto",
            "several label tables: a.csv, b.csv",
        ),
    ],
)
def test_what_is_not_clear_is_refused(
    tmp_path: Path, files: dict[str, bytes], labels: LabelSource, message: str
) -> None:
    write_files(tmp_path, files)
    with pytest.raises(DataError, match=message):
        scan(tmp_path, labels)


def test_splits_are_classes_and_mixtures_are_clear_when_the_user_says_so(
    tmp_path: Path,
) -> None:
    write_files(tmp_path, images("train/cat.1.jpg", "test/dog.2.jpg"))
    assert scan(tmp_path, "folder").class_names == ("test", "train")
    write_files(tmp_path / "a", images("bird/cat.3.jpg", "dog.4.jpg", "fox.5.jpg"))
    assert scan(tmp_path / "a", "name").class_names == ("cat", "dog", "fox")


def test_images_are_known_by_content_or_name_and_the_rest_is_ignored(
    tmp_path: Path,
) -> None:
    files = {
        **images("cat/1.dat", "cat/2"),
        "cat/3.webp.bak": WEBP,
        "cat/4.jpg": b"text with an image's name",
        "cat/5.png": b"",
        "cat/notes.txt": b"text",
        "cat/Thumbs.db": b"\xd0\xcf\x11\xe0",
        "cat/empty": b"",
        "cat/.6.jpg": JPEG,
        ".DS_Store": b"\0",
        "sizes.csv": b"name,size\n",
        "dog/1.jpg": JPEG,
    }
    source = scan(write_files(tmp_path, files))
    kept = ["cat/1.dat", "cat/2", "cat/3.webp.bak", "cat/4.jpg", "cat/5.png"]
    assert list(labelled(source)) == [*kept, "dog/1.jpg"]
    ignored = ("cat/Thumbs.db", "cat/empty", "cat/notes.txt", "sizes.csv")
    assert source.ignored == ignored


def test_a_csv_that_is_no_label_table_does_not_matter(tmp_path: Path) -> None:
    photos = images("cat/1.jpg", "dog/1.jpg")
    files = {**photos, "notes.csv": "Größe;Gewicht".encode("latin-1")}
    write_files(tmp_path, {**files, "long.csv": b"x" * 200_000})
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    source = scan(tmp_path)
    assert labelled(source) == {"cat/1.jpg": "cat", "dog/1.jpg": "dog"}
    assert source.ignored == ("gone.csv", "long.csv", "notes.csv")
