"""Zip and tar files that are hostile, damaged, or made by someone else's program."""

from __future__ import annotations

import io
import random
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest

import alexnet.pipeline.source.stores
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.source.archives import open_store
from alexnet.pipeline.source.scan import scan
from alexnet.pipeline.source.stores import Store
from tests.conftest import slow, smooth_photo
from tests.pipeline.odd_photos import jpeg
from tests.pipeline.source.test_stores import listed

# Names in order, of which some may be there twice, and what they hold.
Members = Iterable[tuple[str, bytes]]
Pack = Callable[[Members], bytes]

NO_FILE = "(no plain file)"
LEADS_OUT = "(leads out of the archive)"
AGAIN = "(there again: the last one counts)"
COPY_AGAIN = "Copy or download it again, or unpack what can be and give that folder"
PHOTOS = [
    *(("cat/1.jpg", b"a" * 300), ("cat/2.jpg", b"b" * 300)),
    *(("dog/1.jpg", b"c" * 300), ("dog/2.jpg", b"d" * 300)),
]


def zipped(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def tarred(members: Members) -> bytes:
    return tar_of((tarfile.TarInfo(name), data) for name, data in members)


def tar_of(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def tar_member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_member(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def in_directory(data: bytes, name: str, place: int, value: bytes) -> bytes:
    """A zip with a field of a member's entry in the table of contents changed.

    Places are those of PKWARE's APPNOTE.TXT, 4.3.12, less the signature's four bytes.
    """
    at = data.rindex(name.encode()) - 46 + place
    return data[:at] + value + data[at + len(value) :]


def stored(folder: Path, data: bytes) -> Store:
    path = folder / "photos.archive"
    path.write_bytes(data)
    return open_store(path)


def contents(store: Store) -> dict[str, bytes]:
    return {key: store.read(key) for key, _ in listed(store).files}


# --- names


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_lead_out_are_left_out_and_nothing_is_written(
    tmp_path: Path, pack: Pack
) -> None:
    out = ["../x.jpg", "/etc/x.jpg", "cat/../../x.jpg", "cat/../x.jpg"]
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    store = stored(inside, pack([*PHOTOS, *((name, b"x") for name in out)]))
    assert contents(store) == dict(PHOTOS)
    assert listed(store).left_out == sorted(f"{name} {LEADS_OUT}" for name in out)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written == [inside / "photos.archive"]
    for name in out:
        with pytest.raises(OSError, match="has no such file"):
            store.read(name)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_of_one_name_the_last_member_counts(tmp_path: Path, pack: Pack) -> None:
    twice = [("cat/1.jpg", b"new"), ("cat/./1.jpg", b"newer"), ("dog//1.jpg", b"dog")]
    store = stored(tmp_path, pack([*PHOTOS, *twice]))
    changed = {"cat/1.jpg": b"newer", "dog/1.jpg": b"dog"}
    assert contents(store) == {**dict(PHOTOS), **changed}
    again = sorted(f"{name} {AGAIN}" for name, _ in twice)
    assert listed(store).left_out == again


def test_a_zip_with_backslashes_has_folders(tmp_path: Path) -> None:
    data = zipped([("train\\cat\\1.jpg", b"x"), ("train\\dog\\", b""), ("..\\y", b"")])
    store = stored(tmp_path, data)
    assert listed(store) == ([("cat/1.jpg", 1)], [f"../y {LEADS_OUT}"])
    assert store.read("cat/1.jpg") == b"x"


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ("größe.jpg".encode(), "größe.jpg"),  # as a Mac's Finder packs
        (b"gr\x94\xe1e.jpg", "größe.jpg"),  # CP437, as the format's first version says
    ],
)
def test_names_of_a_zip_that_are_not_marked_as_utf8(
    tmp_path: Path, raw: bytes, key: str
) -> None:
    ascii_name = "x" * len(raw)
    data = zipped([(ascii_name, b"photo"), ("2.jpg", b"")])
    store = stored(tmp_path, data.replace(ascii_name.encode(), raw))
    assert contents(store) == {"2.jpg": b"", key: b"photo"}


def test_a_zip_that_lies_about_utf8_is_refused(tmp_path: Path) -> None:
    data = zipped([("ä.jpg", b"x")]).replace("ä".encode(), b"\xff\xfe")
    with pytest.raises(DataError, match=rf"is a damaged zip \(.*codec.*{COPY_AGAIN}"):
        listed(stored(tmp_path, data))


def test_names_of_a_tar_may_be_of_any_bytes(tmp_path: Path) -> None:
    store = stored(tmp_path, tarred([("cat/\udcff.jpg", b"x"), ("cat/a\nb.jpg", b"y")]))
    assert contents(store) == {"cat/a\nb.jpg": b"y", "cat/\udcff.jpg": b"x"}


# --- what is no file


def test_a_tar_of_links_pipes_and_devices(tmp_path: Path) -> None:
    odd = {
        "cat/out.jpg": (tarfile.SYMTYPE, "/etc/passwd"),
        "cat/link.jpg": (tarfile.SYMTYPE, "1.jpg"),
        "cat/lost.jpg": (tarfile.LNKTYPE, "cat/nowhere.jpg"),
        "cat/away.jpg": (tarfile.LNKTYPE, "../../etc/passwd"),
        "cat/pipe.jpg": (tarfile.FIFOTYPE, ""),
        "cat/disk.jpg": (tarfile.BLKTYPE, ""),
        "cat/zero.jpg": (tarfile.CHRTYPE, ""),
    }
    members = [(tarfile.TarInfo(name), data) for name, data in PHOTOS]
    members += [(tar_member(name, *how), b"") for name, how in odd.items()]
    store = stored(tmp_path, tar_of(members))
    assert contents(store) == dict(PHOTOS)
    assert listed(store).left_out == sorted(f"{name} {NO_FILE}" for name in odd)


def test_a_hard_link_of_a_tar_is_the_file_that_it_names(tmp_path: Path) -> None:
    """`tar` stores the second name of a file that way."""
    link = (tar_member("dog/3.jpg", tarfile.LNKTYPE, "cat/1.jpg"), b"")
    members = [*((tarfile.TarInfo(name), data) for name, data in PHOTOS), link]
    store = stored(tmp_path, tar_of(members))
    assert contents(store) == {**dict(PHOTOS), "dog/3.jpg": dict(PHOTOS)["cat/1.jpg"]}
    assert ("dog/3.jpg", 300) in listed(store).files


def test_a_sparse_file_of_a_tar_is_left_out(tmp_path: Path) -> None:
    """Its bytes do not lie one after another; taken as they lie they are another's."""
    data = tarred([("1.jpg", b"x" * 512), ("2.jpg", b"y" * 512)])
    header = bytearray(data[:512])
    # GNU's old format: the type, a map of one piece, and the size when spread out.
    header[156:157], header[386:398] = b"S", b"00000000000\0"
    header[398:410], header[483:495] = b"00000001000\0", b"00000002000\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    store = stored(tmp_path, bytes(header) + data[512:])
    assert listed(store) == ([("2.jpg", 512)], [f"1.jpg {NO_FILE}"])


def test_a_zip_of_links_and_pipes(tmp_path: Path) -> None:
    file = io.BytesIO(zipped(PHOTOS))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zip_member("cat/out.jpg", stat.S_IFLNK), "/etc/passwd")
        archive.writestr(zip_member("cat/pipe.jpg", stat.S_IFIFO), "")
        archive.writestr(zip_member("cat/3.jpg", stat.S_IFREG | 0o644), "three")
    store = stored(tmp_path, file.getvalue())
    assert contents(store) == {**dict(PHOTOS), "cat/3.jpg": b"three"}
    odd = ["cat/out.jpg (no plain file)", "cat/pipe.jpg (no plain file)"]
    assert listed(store).left_out == odd


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_archives_in_an_archive_are_no_photos(tmp_path: Path, pack: Pack) -> None:
    """A tar that ends with a zip is no zip, although it ends like one."""
    photos = [("cat/1.jpg", b"\xff\xd8\xff")]
    inner = [("cat/z.tar", tarred(PHOTOS)), ("cat/z.zip", zipped(PHOTOS))]
    store = stored(tmp_path, pack([*photos, *inner]))
    assert contents(store) == dict([*photos, *inner])
    source = scan(tmp_path / "photos.archive")
    assert [file.key for file in source.files] == ["cat/1.jpg"]
    assert source.ignored == ("cat/z.tar", "cat/z.zip")


# --- what cannot be read


def test_an_encrypted_zip_names_a_member_and_the_way_out(tmp_path: Path) -> None:
    data = in_directory(zipped(PHOTOS), "dog/1.jpg", 8, b"\1")
    said = "photos.archive: 'dog/1.jpg' is encrypted. Unpack the archive and give that"
    with pytest.raises(DataError, match=said):
        listed(stored(tmp_path, data))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_inflates_without_bound_is_refused(
    tmp_path: Path, method: int
) -> None:
    said = f"'cat/1.jpg' is compressed by method {method}; .* Unpack the archive"
    with pytest.raises(DataError, match=said):
        listed(stored(tmp_path, zipped(PHOTOS, method)))


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_member_larger_than_a_photo_is_not_read(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alexnet.pipeline.source.stores, "MAX_FILE_BYTES", 10_000)
    store = stored(tmp_path, pack([("1.jpg", bytes(10_001)), ("2.jpg", bytes(10_000))]))
    assert len(listed(store).files) == 2
    with pytest.raises(OSError, match="10,001 bytes: no photo is larger than 10,000"):
        store.read("1.jpg")
    assert store.read("1.jpg", 12) == bytes(12)
    assert store.read("2.jpg") == bytes(10_000)


def test_a_member_that_declares_gigabytes_costs_nothing(tmp_path: Path) -> None:
    size = struct.pack("<I", 2**31)
    store = stored(tmp_path, in_directory(zipped(PHOTOS), "cat/1.jpg", 24, size))
    assert ("cat/1.jpg", 2**31) in listed(store).files
    with pytest.raises(OSError, match="2,147,483,648 bytes: no photo is larger"):
        store.read("cat/1.jpg")


def test_a_member_that_inflates_to_more_than_it_declares_is_cut_off(
    tmp_path: Path,
) -> None:
    data = zipped([("cat/1.jpg", bytes(50_000_000))])
    store = stored(tmp_path, in_directory(data, "cat/1.jpg", 24, struct.pack("<I", 99)))
    assert listed(store).files == [("cat/1.jpg", 99)]
    tracemalloc.start()
    with pytest.raises(OSError, match="Bad CRC-32"):
        store.read("cat/1.jpg")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_that_was_cut_is_never_taken_for_a_smaller_one(
    tmp_path: Path, pack: Pack
) -> None:
    data = pack(PHOTOS)
    whole = listed(stored(tmp_path, data))
    needed = data.rstrip(b"\0")
    for length in range(0, len(needed), 64 if pack is zipped else 256):
        with pytest.raises(DataError) as raised:
            listed(stored(tmp_path, data[:length]))
        assert str(tmp_path / "photos.archive") in str(raised.value)
        if length > 600:
            assert COPY_AGAIN in str(raised.value)
    for length in range(len(needed) + 1024, len(data), 1024):
        assert listed(stored(tmp_path, data[:length])) == whole


def test_a_tar_whose_middle_is_damaged_does_not_end_there(tmp_path: Path) -> None:
    """For tarfile alone, a header that cannot be read is the end of the archive."""
    data = bytearray(tarred(PHOTOS))
    data[2 * 1024 + 5] ^= 1  # a letter of the third member's name
    with pytest.raises(DataError, match="byte 2048 is neither a member nor the end"):
        listed(stored(tmp_path, bytes(data)))


@pytest.mark.parametrize(
    "start", [b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"]
)
def test_what_is_compressed_or_cut_so_early_is_refused(
    tmp_path: Path, start: bytes
) -> None:
    with pytest.raises(DataError, match="is compressed, and only a plain tar"):
        stored(tmp_path, start + bytes(20))


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_without_photos_is_refused(tmp_path: Path, pack: Pack) -> None:
    stored(tmp_path, pack([]))
    with pytest.raises(DataError, match=r"no images in .*: it holds no files"):
        scan(tmp_path / "photos.archive")


# --- damage of any kind


def mutated(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8))):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    if rng.random() < 0.2:
        del changed[rng.randrange(len(changed)) :]
    return bytes(changed)


def with_right_checksums(data: bytes) -> bytes:
    """A tar whose damaged headers are believed."""
    fixed = bytearray(data)
    for start in range(0, len(data) - 512, 512):
        header = fixed[start : start + 512]
        if header[257:262] == b"ustar":
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
            fixed[start : start + 512] = header
    return bytes(fixed)


def long_names(pack: Pack) -> bytes:
    return pack([*PHOTOS, ("é" * 120 + ".jpg", b"long"), ("ä.jpg", b"")])


@pytest.mark.parametrize("pack", [zipped, slow(tarred)])
def test_a_damaged_archive_is_a_known_error(tmp_path: Path, pack: Pack) -> None:
    rng, data, num_listed = random.Random(7), long_names(pack), 0
    for number in range(1000):
        broken = mutated(data, rng)
        if number % 2:
            broken = with_right_checksums(broken)
        with suppress(DataError, OSError):
            store = stored(tmp_path, broken)
            files = listed(store).files
            num_listed += 1
            for key, _ in files:
                with suppress(OSError):
                    store.read(key, 12)
                    store.read(key)
    assert 0 < num_listed < 1000


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_build_from_a_damaged_zip_loses_the_damaged_photo_alone(
    tmp_path: Path,
) -> None:
    names = [f"cat.{number}.jpg" for number in range(5)]
    members = [(n, jpeg(smooth_photo(i, 20, 20))) for i, n in enumerate(names)]
    data = zipped([*members, ("../cat.9.jpg", b""), members[0]])
    place = data.index(b"cat.3.jpg") + 60
    damaged = data[:place] + bytes(20) + data[place + 20 :]
    (tmp_path / "photos.zip").write_bytes(damaged)
    source = scan(tmp_path / "photos.zip")
    assert source.ignored == (f"../cat.9.jpg {LEADS_OUT}", f"cat.0.jpg {AGAIN}")
    config = BuildConfig(side=16, validation_fraction=0)
    report = build(source, tmp_path / "records", config, workers=1)
    assert [bad.key for bad in report.quarantined] == ["cat.3.jpg"]
    assert report.quarantined[0].reason.startswith("cannot be read: ")
    assert report.manifest.splits["train"].num_examples == 4
