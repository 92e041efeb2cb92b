"""Whatever a file holds, reading it ends well or with an error that a user is told.

Hypothesis draws what is in manifests, indexes, records, shards and label tables; all of
them have right checksums where they have any, as who forges them would see to.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import google_crc32c
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alexnet.pipeline.config import StorageName
from alexnet.pipeline.errors import AlexnetError, DataError
from alexnet.pipeline.inspect.info import records_info
from alexnet.pipeline.read.dataset import steps_per_epoch
from alexnet.pipeline.read.errors import reading
from alexnet.pipeline.read.opened_records import open_records
from alexnet.pipeline.read.parse import find_jpeg
from alexnet.pipeline.records.interop import index_name, read_index
from alexnet.pipeline.records.manifest import load_manifest
from alexnet.pipeline.records.tfrecord import encode_example, frame, read_example
from alexnet.pipeline.source.scan import scan
from alexnet.pipeline.verify.checksums import require_whole_shards
from alexnet.pipeline.verify.verify import verify
from tests.conftest import slow, soak

EXAMPLES = pytest.mark.parametrize("examples", [60, slow(300), soak(5000)])
SHARD = "train-00000-of-00003.tfrecord"

NUMBERS = st.integers(-(2**64), 2**64) | st.sampled_from((-1, 0, 1, 2**31, 2**63))
TEXTS = st.text(max_size=8) | st.sampled_from(
    ("..", "../x", "/etc/passwd", "\0", "\ud800", "raw", "jpeg", "yuv420", "original")
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def holds(examples: int, *drawn: st.SearchStrategy[Any]) -> Callable[[Any], None]:
    """Try a property on so many examples, the same ones each time."""

    def attempt(check: Callable[..., None]) -> None:
        known = settings(
            max_examples=examples,
            derandomize=True,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
        known(given(*drawn)(check))()

    return attempt


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value within a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, one in inner:
        yield (*above, name)
        if isinstance(one, dict | list):
            yield from places(one, (*above, name))


def changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """A JSON value with something else at a place."""
    made = copy.deepcopy(value)
    inner = made
    with suppress(KeyError, IndexError, TypeError):  # changed away before
        for name in place[:-1]:
            inner = inner[name]
        inner[place[-1]] = new
    return made


@contextmanager
def copied(folder: Path) -> Iterator[Path]:
    """A record set that may be spoilt, for one example."""
    with TemporaryDirectory() as place:
        yield Path(shutil.copytree(folder, Path(place) / "set"))


@EXAMPLES
@pytest.mark.parametrize("storage", [slow("jpeg"), "raw"])
def test_no_manifest_is_followed_out_of_its_folder(
    record_sets: dict[StorageName, Path], storage: StorageName, examples: int
) -> None:
    folder = record_sets[storage]
    whole = json.loads((folder / "dataset.json").read_text())
    changes = st.tuples(st.sampled_from([*places(whole)]), JSON)

    @holds(examples, st.lists(changes, min_size=1, max_size=3))
    def _(drawn: list[tuple[tuple[Any, ...], Any]]) -> None:
        values = whole
        for place, new in drawn:
            values = changed(values, place, new)
        with copied(folder) as spoilt:
            (spoilt / "dataset.json").write_text(json.dumps(values))
            with suppress(DataError):
                for shard in load_manifest(spoilt).shards:
                    assert (spoilt / shard.name).resolve().parent == spoilt.resolve()
            use(spoilt)


def use(folder: Path) -> None:
    """What commands do with a record set, each of which may refuse it."""
    with suppress(AlexnetError):
        records_info(folder).to_json()
    with suppress(AlexnetError):
        verify(folder).to_json()
    with suppress(AlexnetError):
        records = open_records(folder)
        require_whole_shards(records)
        steps_per_epoch(records, 2)
        with reading(records):
            rows = records.open_rows("train")
            images, labels = rows.fetch(tf.constant([0, 1]), *rows.lend())
        assert len(images) == len(labels) == 2


@EXAMPLES
def test_a_forged_shard_is_refused_or_read(
    record_sets: dict[StorageName, Path], examples: int
) -> None:
    """Its manifest says that it is whole: records of anything, framed as they ought."""
    folder = record_sets["jpeg"]
    jpeg = open_records(folder)
    (first,) = [s for s in jpeg.manifest.shards if s.name == SHARD]
    written = (folder / SHARD).read_bytes()
    start, size = read_index(folder, first)[0]
    photo = written[start + 12 : start + size - 4]
    features = st.dictionaries(
        st.sampled_from(("image/class/label", "image/encoded", "image/raw", "x")),
        st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.just(photo),
    )
    records = (
        st.binary(max_size=60)
        | st.builds(encode_example, features)
        | st.builds(lambda at, new: photo[:at] + new + photo[at:], *CUTS)
        | st.just(photo)
    )
    framed = st.builds(frame, records) | st.binary(max_size=40)

    @holds(examples, st.lists(framed, min_size=6, max_size=6))
    def _(drawn: list[bytes]) -> None:
        shard = b"".join(drawn)
        values = json.loads((folder / "dataset.json").read_text())
        card = values["splits"]["train"]["shards"][0]
        card |= {"num_bytes": len(shard), "crc32c": google_crc32c.value(shard)}
        with copied(folder) as forged:
            shutil.rmtree(forged / "idx")
            (forged / SHARD).write_bytes(shard)
            (forged / "dataset.json").write_text(json.dumps(values))
            report = verify(forged)
            assert all(one.reason for one in report.bad)
            use(forged)


CUTS = (st.integers(0, 400), st.binary(max_size=9))


@EXAMPLES
def test_no_bytes_crash_the_readers_of_a_record(
    record_sets: dict[StorageName, Path], examples: int
) -> None:
    folder = record_sets["jpeg"]
    shard = (folder / SHARD).read_bytes()
    record = shard[12 : 12 + int.from_bytes(shard[:8], "little")]

    @holds(examples, st.binary(max_size=80) | st.binary(max_size=9), *CUTS)
    def _(anything: bytes, at: int, new: bytes) -> None:
        spoilt = record[:at] + new + record[at + len(new) :]
        for data in (anything, spoilt, spoilt[: 2 * at]):
            with suppress(ValueError):
                label, name = read_example(data, "image/class/label", "image/filename")
                assert all(isinstance(v, int | memoryview) for v in (label, name))
            with suppress(ValueError):
                number, image = find_jpeg(np.frombuffer(data, np.uint8))
                assert -(2**63) <= number < 2**63
                assert len(image) < len(data)


@EXAMPLES
def test_an_index_is_right_or_refused(
    record_sets: dict[StorageName, Path], tmp_path: Path, examples: int
) -> None:
    folder = Path(shutil.copytree(record_sets["jpeg"], tmp_path / "set"))
    (shard,) = [s for s in load_manifest(folder).shards if s.name == SHARD]
    right = read_index(folder, shard)
    lines = (folder / index_name(shard.name)).read_text().splitlines()
    pairs = st.builds("{} {}".format, NUMBERS, NUMBERS)
    line = st.sampled_from(lines) | pairs | TEXTS
    several = st.lists(line, max_size=8) | st.permutations(lines)

    @holds(examples, several)
    def _(drawn: list[str]) -> None:
        text = "\n".join(drawn)
        (folder / index_name(shard.name)).write_text(text, "utf-8", "surrogatepass")
        try:
            found = read_index(folder, shard)
        except DataError as error:
            assert "delete it" in str(error)
        else:
            np.testing.assert_array_equal(found, right)


@EXAMPLES
def test_a_label_table_is_read_or_refused(tmp_path: Path, examples: int) -> None:
    """What is read stays in the table's folder, and names a class for every file."""
    (tmp_path / "1.jpg").write_bytes(b"\xff\xd8\xff")
    table = tmp_path / "labels.csv"
    known = [*'1.jpg filename label cat " "" .. /'.split(), "a\nb", "\0", " "]
    cells = st.sampled_from(known) | st.text(max_size=5)
    rows = st.lists(st.lists(cells, max_size=4).map(",".join), max_size=5)
    tables = st.tuples(rows, st.sampled_from(("\n", "\r\n", "\r")), st.booleans())

    @holds(examples, tables, st.binary(max_size=12))
    def _(drawn: tuple[list[str], str, bool], behind: bytes) -> None:
        lines, end, headed = drawn
        lines = ["filename,label", *lines] if headed else lines
        table.write_bytes(end.join(lines).encode("utf-8", "replace") + behind)
        with suppress(DataError):
            source = scan(table)
            for file in source.files:
                assert ".." not in file.key.split("/") and file.key[0] != "/"
                assert source.class_names[file.label].strip()
