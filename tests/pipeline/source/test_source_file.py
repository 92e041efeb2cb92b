"""A photo that cannot be read is told apart from a picture that is no good."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest

import alexnet.pipeline.source.scan
import alexnet.pipeline.source.source_file
from alexnet.pipeline.errors import BadImage, ReadError
from alexnet.pipeline.source.archives import open_store
from alexnet.pipeline.source.scan import ImageFile, scan
from alexnet.pipeline.source.source_file import read_file
from alexnet.pipeline.source.stores import FolderStore, Store, _status
from alexnet.pipeline.source.tar_store import TarStore
from tests.pipeline.failing import OUT_OF_MEMORY, FailingStore
from tests.pipeline.source.test_archives import stored, tarred, zipped
from tests.pipeline.source.test_stores import listed

KEY = "cat/1.jpg"
LISTED, ONLY_NAMED = ImageFile(KEY, 0, 5), ImageFile(KEY, 0, 0)
# What a disk, a network or the system can say of a file that is there and good.
PASSING = [
    *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE),
    *(errno.ENOMEM, errno.ENOTCONN, errno.EHOSTDOWN, errno.EREMOTEIO, errno.EBADMSG),
    *(errno.EAGAIN, errno.EINTR, errno.ENODEV, OUT_OF_MEMORY),
]
DELETED = [errno.ENOENT, errno.ENOTDIR]
NO_NAME = [errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ENXIO]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited between tries, and are not."""
    waited: list[float] = []
    replace_sleep(monkeypatch, waited.append)
    return waited


def replace_sleep(
    monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], None]
) -> None:
    """Wait otherwise in the module alone: threads of other tests may sleep."""
    waiting = SimpleNamespace(sleep=sleep)
    monkeypatch.setattr(alexnet.pipeline.source.source_file, "time", waiting)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds a file, and one beside it."""
    source = tmp_path / "photos"
    (source / "cat").mkdir(parents=True)
    (source / KEY).write_bytes(b"photo")
    (source / "cat" / "2.jpg").write_bytes(b"other")
    return source


def failing(folder: Path, number: int) -> FailingStore:
    marker = folder.parent / "failing"
    marker.touch()
    return FailingStore(folder, marker, {KEY: number})


def reason(store: Store, file: ImageFile) -> str:
    with pytest.raises(BadImage) as error:
        read_file(store, file, bytes)
    return str(error.value)


def told(store: Store, file: ImageFile) -> str:
    with pytest.raises(ReadError) as error:
        read_file(store, file, bytes)
    return str(error.value)


@pytest.mark.parametrize("number", PASSING)
@pytest.mark.parametrize("file", [LISTED, ONLY_NAMED])
def test_what_passes_is_waited_for(
    folder: Path, waits: list[float], number: int, file: ImageFile
) -> None:
    store = failing(folder, number)
    said = told(store, file)
    name = os.strerror(errno.ENOMEM if number == OUT_OF_MEMORY else number)
    assert said.startswith(f"{folder / KEY} cannot be read: {name}. ")
    assert "not set aside" in said and said.endswith(".")
    assert store.failing.read_text() == f"{KEY}\n" * 3
    assert waits == [0.1, 0.5]


@pytest.mark.parametrize("tries", [1, 2])
def test_what_has_passed_costs_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    store, waited = failing(folder, errno.EIO), 0

    def wait(seconds: float) -> None:
        nonlocal waited
        waited += 1
        if waited == tries:
            store.failing.unlink()

    replace_sleep(monkeypatch, wait)
    assert read_file(store, LISTED, bytes) == b"photo"
    assert waited == tries


@pytest.mark.parametrize("number", DELETED + NO_NAME)
def test_a_name_that_leads_nowhere_is_bad(
    folder: Path, waits: list[float], number: int
) -> None:
    said = f"cannot be read: {os.strerror(number)}"
    assert reason(failing(folder, number), ONLY_NAMED) == said
    assert waits == []
    if number in DELETED:  # since it was listed: the others are still there
        assert reason(failing(folder, number), LISTED) == said
    else:
        told(failing(folder, number), LISTED)


def test_real_names_that_lead_nowhere_are_bad(folder: Path) -> None:
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    os.mkfifo(folder / "pipe.jpg")
    with (folder / "large.jpg").open("wb") as file:
        file.truncate(2**29 + 1)
    words = {
        "gone.jpg": "No such file or directory",
        "none/1.jpg": "No such file or directory",
        "loop.jpg": "Too many levels of symbolic links",
        "x" * 300: "File name too long",
        f"{KEY}/1.jpg": "Not a directory",
        "cat": "not a regular file",
        "pipe.jpg": "not a regular file",
        "large.jpg": "536,870,913 bytes: no photo is larger than 536,870,912",
    }
    store = FolderStore(folder)
    for key, why in words.items():
        assert reason(store, ImageFile(key, 0, 0)) == f"cannot be read: {why}"


@pytest.mark.parametrize("empty", [True, False], ids=["unmounted", "no mount point"])
def test_a_source_that_is_gone_speaks_against_no_photo(
    folder: Path, waits: list[float], empty: bool
) -> None:
    store = open_store(folder)
    shutil.rmtree(folder)
    if empty:
        folder.mkdir()
    said = told(store, LISTED)
    assert said.startswith(f"{folder / KEY} cannot be read: No such file or directory.")
    assert "The whole source is gone: bring it back" in said


@pytest.fixture
def forbidden(folder: Path) -> Iterator[Path]:
    """The folder with one file that this user may not read, though it be root."""
    user = os.geteuid()
    (folder / KEY).chmod(0)
    for parent in (folder, *folder.parents):
        if "pytest-of" in str(parent):  # pytest's own, closed to other users
            parent.chmod(0o755)
    if not user:
        os.seteuid(65_534)
    try:
        yield folder
    finally:
        if not user:
            os.seteuid(user)


def test_a_file_that_may_not_be_read_is_named_at_once(
    forbidden: Path, waits: list[float]
) -> None:
    said = told(open_store(forbidden), LISTED)
    assert said.startswith(f"{forbidden / KEY} cannot be read: Permission denied. ")
    assert said.endswith("Allow this user to read it (chmod), or take it away.")
    assert waits == []


def test_too_many_open_files_are_told_with_what_helps(
    folder: Path, waits: list[float]
) -> None:
    store = open_store(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        said = told(store, LISTED)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "cannot be read: Too many open files. " in said
    assert said.endswith("Allow more open files (ulimit -n).")


def test_memory_that_a_picture_takes_is_waited_for(
    folder: Path, waits: list[float]
) -> None:
    def use(data: bytes) -> bytes:
        if len(waits) < 2:
            raise MemoryError
        return data

    assert read_file(open_store(folder), LISTED, use) == b"photo"
    waits.clear()

    def never(data: bytes) -> bytes:
        waits.clear()
        raise MemoryError

    with pytest.raises(ReadError, match=r"Cannot allocate .* Give fewer `workers`"):
        read_file(open_store(folder), LISTED, never)


# --- what a scan reads


TABLE = b"filename,label\ncat/1.jpg,tom\ncat/2.jpg,kitty\n"


@pytest.mark.parametrize(
    ("name", "data", "classes"),
    [
        ("dog/named", b"\xff\xd8\xff", ("cat", "dog")),
        ("labels.csv", TABLE, ("kitty", "tom")),
    ],
)
@pytest.mark.parametrize("number", [errno.EIO, OUT_OF_MEMORY])
def test_a_scan_that_cannot_read_says_so(
    folder: Path,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    data: bytes,
    classes: tuple[str, ...],
    number: int,
) -> None:
    """Left out, it would be missing for good, or the classes be others."""
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    store = FailingStore(folder, folder.parent / "failing", {name: number})
    monkeypatch.setattr(alexnet.pipeline.source.scan, "open_store", lambda path: store)
    store.failing.touch()
    with pytest.raises(ReadError, match=f"{folder / name} cannot be read: "):
        scan(folder)
    store.failing.unlink()
    assert scan(folder).class_names == classes


def test_what_nothing_calls_a_photo_may_be_forbidden(
    folder: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "cat" / "secret").write_bytes(b"key")
    store = FailingStore(folder, folder / KEY, {"cat/secret": errno.EACCES})
    monkeypatch.setattr(alexnet.pipeline.source.scan, "open_store", lambda path: store)
    found = scan(folder)
    assert len(found.files) == 2
    assert found.ignored == ("cat/secret",)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_a_folder_whose_kind_is_not_known_is_not_passed_by(
    folder: Path, number: int
) -> None:
    class Item:
        def stat(self) -> os.stat_result:
            raise OSError(number, os.strerror(number))

    with pytest.raises(OSError, match=os.strerror(number)):
        _status(cast(Any, Item()))


# --- archives


TWO = [(name, bytes(range(256)) * 40) for name in (KEY, "dog/1.jpg")]


def zip_of_two(folder: Path) -> Path:
    (folder / "photos.zip").write_bytes(zipped(TWO))
    return folder / "photos.zip"


@pytest.fixture(params=[zipped, tarred])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    store = stored(tmp_path, request.param(TWO))
    assert len(listed(store).files) == 2
    return store


IN_ARCHIVE = ImageFile(KEY, 0, 10_240)


def test_a_disk_that_fails_under_an_archive_speaks_against_no_photo(
    archive: Store, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def failing(*_: object, **__: object) -> NoReturn:
        nonlocal calls
        calls += 1
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "open", failing)
        patch.setattr(Path, "open", failing)
        said = told(archive, IN_ARCHIVE)
    assert f"photos.archive/{KEY} cannot be read: Input/output error. " in said
    assert calls == 3
    assert read_file(archive, IN_ARCHIVE, bytes) == bytes(range(256)) * 40


def test_an_archive_that_went_stale_is_opened_again(
    tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a file server's restart: the open file is of no use any more."""
    store = open_store(zip_of_two(tmp_path))
    listed(store)
    opened: list[zipfile.ZipFile] = []
    whole = zipfile.ZipFile.open

    def stale(archive: zipfile.ZipFile, name: str) -> object:
        if archive not in opened:
            opened.append(archive)
        if archive is opened[0]:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return whole(archive, name)

    monkeypatch.setattr(zipfile.ZipFile, "open", stale)
    assert len(read_file(store, IN_ARCHIVE, bytes)) == 10_240
    assert len(opened) == 2


@pytest.mark.parametrize("damage", [b"\xff" * 20, b"\0" * 20])
def test_a_damaged_member_is_a_bad_picture(
    tmp_path: Path, waits: list[float], damage: bytes
) -> None:
    path = zip_of_two(tmp_path)
    data = bytearray(path.read_bytes())
    data[60 : 60 + len(damage)] = damage
    path.write_bytes(data)
    store = open_store(path)
    listed(store)
    assert reason(store, IN_ARCHIVE).startswith("cannot be read: ")
    assert len(read_file(store, ImageFile("dog/1.jpg", 0, 1), bytes)) == 10_240
    assert waits == []


def test_a_member_whose_place_is_before_the_archive_is_a_bad_picture(
    tmp_path: Path, waits: list[float]
) -> None:
    """The system says EINVAL of it, which is no fault of the disk's."""
    path = zip_of_two(tmp_path)
    end = path.read_bytes()[-22:]  # PKWARE's APPNOTE.TXT, 4.3.16: the table's place
    later = int.from_bytes(end[16:20], "little") + 5
    path.write_bytes(
        path.read_bytes()[:-22] + end[:16] + later.to_bytes(4, "little") + end[20:]
    )
    store = open_store(path)
    listed(store)
    assert reason(store, IN_ARCHIVE).startswith("cannot be read: ")
    assert waits == []


def test_an_archive_that_is_gone_or_cut_since_speaks_against_no_photo(
    archive: Store, tmp_path: Path, waits: list[float]
) -> None:
    path = tmp_path / "photos.archive"
    if isinstance(archive, TarStore):
        whole = path.read_bytes()
        path.write_bytes(whole[:1000])
        said = told(archive, IN_ARCHIVE)
        assert f"{KEY} cannot be read: the archive was longer when it was" in said
    path.unlink()
    said = told(archive, IN_ARCHIVE)
    assert f"{KEY} cannot be read: No such file or directory. " in said
    assert "The whole source is gone" in said


def test_what_an_archive_does_not_hold_is_bad(archive: Store) -> None:
    said = reason(archive, ImageFile("cat/2.jpg", 0, 0))
    assert said == "cannot be read: photos.archive has no such file"


def test_archives_name_their_members(archive: Store, tmp_path: Path) -> None:
    assert archive.place("cat/\udcff.jpg") == (
        f"{tmp_path}/photos.archive/cat/\\xff.jpg"
    )
