"""A build is the same however often it was interrupted and whoever did the work."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

from alexnet.pipeline.build.build import BuildReport, build
from alexnet.pipeline.build.output import replace_set
from alexnet.pipeline.build.plan import make_plan
from alexnet.pipeline.build.state import build_settings, open_state
from alexnet.pipeline.build.writer import Progress
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.manifest import load_manifest
from alexnet.pipeline.source.scan import Quarantined, Source, scan
from tests.conftest import NUM_PHOTOS, SIDE, slow, smooth_photo

CONFIG = BuildConfig(side=SIDE, shards=3)
SHARDS = [
    *(f"train-{i:05d}-of-00003.tfrecord" for i in range(3)),
    "validation-00000-of-00001.tfrecord",
]
CARDS = ["dataset.json", "duplicates.jsonl", "labels.txt", "quarantine.jsonl"]
FOR_OTHERS = [
    *("dataset_info.json", "features.json", "image.class.label.labels.txt"),
    *(f"idx/{name.removesuffix('.tfrecord')}.idx" for name in SHARDS),
]


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def filenames(folder: Path) -> list[str]:
    found = []
    for shard in folder.glob("*.tfrecord"):
        for record in tf.data.TFRecordDataset(str(shard)).as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            (name,) = features["image/filename"].bytes_list.value
            found.append(name.decode())
    return sorted(found)


def stop_after(images: int) -> Progress:
    def progress(done: int, total: int) -> None:
        if done == images:
            raise KeyboardInterrupt

    return progress


def interrupted(
    source: Source, out: Path, images: int, config: BuildConfig = CONFIG, **more: Any
) -> None:
    """A build that is stopped when so many images are done."""
    options = {"workers": 1, **more}
    with pytest.raises(KeyboardInterrupt):
        build(source, out, config, progress=stop_after(images), **options)


@pytest.fixture(scope="module")
def whole(record_sets: dict[str, Path]) -> dict[str, bytes]:
    """The record set of `photos` that one undisturbed process made."""
    return content(record_sets["jpeg"])


@pytest.fixture
def flawed(photos: Path, tmp_path: Path) -> Path:
    """`photos` with an empty file, a cut one and one that is text: 27 in all."""
    folder = tmp_path / "flawed"
    shutil.copytree(photos, folder)
    (folder / "cat" / "empty.jpg").touch()
    cut = (photos / "cat" / "00.jpg").read_bytes()[:-150]
    (folder / "cat" / "cut.jpg").write_bytes(cut)
    (folder / "dog" / "text.jpg").write_text("not a photo")
    return folder


def test_a_set_is_what_was_planned(photos: Path, record_sets: dict[str, Path]) -> None:
    folder = record_sets["jpeg"]
    assert sorted(content(folder)) == sorted(SHARDS + CARDS + FOR_OTHERS)
    keys = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))
    assert filenames(folder) == keys
    manifest = load_manifest(folder)
    assert manifest.class_names == ("cat", "dog")
    assert manifest.splits["train"].class_counts == (9, 9)
    assert manifest.splits["validation"].class_counts == (3, 3)


def test_two_workers_write_the_same_bytes(
    photos: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    progress: list[tuple[int, int]] = []
    report = build(
        scan(photos),
        tmp_path,
        CONFIG,
        workers=2,
        progress=lambda *counts: progress.append(counts),
    )
    assert content(tmp_path) == whole
    assert progress == [(done, NUM_PHOTOS) for done in range(NUM_PHOTOS + 1)]
    assert report.encoded == NUM_PHOTOS


@pytest.mark.parametrize("images", [0, 1, 6, 7, 17, 23, 24])
def test_an_interrupted_build_goes_on_where_it_was(
    photos: Path, tmp_path: Path, whole: dict[str, bytes], images: int
) -> None:
    source = scan(photos)
    interrupted(source, tmp_path, images)
    left = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*")}
    left.pop(tmp_path / ".build")
    finished = SHARDS[: (images - 1) // 6] if images else []
    assert sorted(path.name for path in left) == finished
    report = build(source, tmp_path, CONFIG, workers=1)
    assert content(tmp_path) == whole
    assert report.encoded == NUM_PHOTOS - 6 * len(finished)
    assert {path: path.stat().st_mtime_ns for path in left} == left


NOTE = f".build/{SHARDS[0]}.json"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *((name, text) for name in (SHARDS[0], NOTE) for text in (None, "")),
        *((NOTE, text) for text in ("{}", "[]", '{"shard": {}}', "\udcff", "null")),
    ],
)
def test_a_shard_is_finished_when_it_and_its_note_are_whole(
    photos: Path, tmp_path: Path, whole: dict[str, bytes], name: str, text: str | None
) -> None:
    source = scan(photos)
    interrupted(source, tmp_path, 13)
    (tmp_path / name).unlink()
    if text is not None:
        (tmp_path / name).write_text(text, errors="surrogateescape")
    assert build(source, tmp_path, CONFIG, workers=1).encoded == NUM_PHOTOS - 6
    assert content(tmp_path) == whole


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"config": 3}', "\udcff"])
def test_an_unfinished_build_whose_settings_are_damaged_is_told(
    photos: Path, tmp_path: Path, text: str
) -> None:
    source = scan(photos)
    interrupted(source, tmp_path, 13)
    settings = tmp_path / ".build" / "settings.json"
    settings.write_text(text, errors="surrogateescape")
    before = content(tmp_path)
    for overwrite in (False, True):  # which of the files are ours is not known
        with pytest.raises(
            DataError, match=rf"{settings} is damaged .* program.* another `out`"
        ):
            build(source, tmp_path, CONFIG, workers=1, overwrite=overwrite)
    assert content(tmp_path) == before


@pytest.mark.parametrize("text", ["{", "[]", '{"key": 1}', "null", "\udcff"])
def test_a_damaged_list_of_what_was_set_aside_is_told(
    photos: Path, tmp_path: Path, text: str
) -> None:
    build(scan(photos), tmp_path, CONFIG, workers=1)
    quarantine = tmp_path / "quarantine.jsonl"
    quarantine.write_text(text, errors="surrogateescape")
    with pytest.raises(DataError, match=f"{quarantine} is damaged: .* or empty it"):
        build(scan(photos), tmp_path, CONFIG, workers=1)
    quarantine.write_text("")
    assert build(scan(photos), tmp_path, CONFIG, workers=1).encoded == 0


def test_an_interrupt_stops_worker_processes(photos: Path, tmp_path: Path) -> None:
    interrupted(scan(photos), tmp_path, 1, workers=2)
    assert multiprocessing.active_children() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [".build"]


def test_a_finished_set_is_left_alone(
    photos: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    source = scan(photos)
    first = build(source, tmp_path, CONFIG, workers=1)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    (tmp_path / ".build").mkdir()  # killed after the manifest was written
    again = build(source, tmp_path, CONFIG, workers=1)
    assert (again.encoded, again.images_per_second) == (0, 0)
    assert again.manifest == first.manifest
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times
    assert content(tmp_path) == whole


def test_the_report_has_the_promised_fields(photos: Path, tmp_path: Path) -> None:
    report = json.loads(
        json.dumps(build(scan(photos), tmp_path, CONFIG, workers=1).to_json())
    )
    seconds, rate = report.pop("seconds"), report.pop("images_per_second")
    assert rate == pytest.approx(NUM_PHOTOS / seconds)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert report == {
        "data": str(tmp_path),
        "storage": "jpeg",
        "class_names": ["cat", "dog"],
        "splits": {
            "train": {
                "num_examples": 18,
                "num_shards": 3,
                "num_bytes": sum(sizes[name] for name in SHARDS[:3]),
            },
            "validation": {
                "num_examples": 6,
                "num_shards": 1,
                "num_bytes": sizes[SHARDS[3]],
            },
        },
        "quarantined": 0,
        "duplicates": 0,
        "duplicates_across_splits": 0,
        "duplicates_with_other_label": 0,
    }


@pytest.mark.parametrize("images", [7, None])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"side": 20}, r"other settings \(side 16 -> 20\)"),
        (
            {"quality": 80, "seed": 1},
            r"other settings \(quality 90 -> 80, seed 21 -> 1\)",
        ),
    ],
)
def test_other_settings_need_overwrite(
    photos: Path,
    tmp_path: Path,
    images: int | None,
    settings: dict[str, Any],
    message: str,
) -> None:
    source, out = scan(photos), tmp_path / "records"
    if images is None:
        build(source, out, CONFIG, workers=1)
    else:
        interrupted(source, out, images)
    before = content(out)
    other = BuildConfig(**{**CONFIG.to_json(), **settings})
    with pytest.raises(DataError, match=message + ".*`overwrite=True`"):
        build(source, out, other, workers=1)
    assert content(out) == before
    build(source, out, other, workers=1, overwrite=True)
    build(source, tmp_path / "fresh", other, workers=1)
    assert content(out) == content(tmp_path / "fresh")


STRANGERS = {
    "readme.md": b"mine",
    "train-mine.tfrecord": b"mine",
    "train-00000-of-00077.tfrecord": b"mine",
    "validation-00000-of-00077.tfrecord": b"mine",
    ".secret.partial": b"mine",
    ".build/debug/mine.json": b"mine",  # as Swift has it
}


def put_strangers(folder: Path) -> None:
    for name, data in STRANGERS.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(data)


@pytest.mark.parametrize("images", [None, 13])
def test_overwrite_leaves_no_old_shard_and_no_stranger_is_touched(
    photos: Path, tmp_path: Path, whole: dict[str, bytes], images: int | None
) -> None:
    source, many = scan(photos), BuildConfig(side=SIDE, shards=9)
    with suppress(KeyboardInterrupt):
        build(source, tmp_path, many, workers=1, progress=stop_after(images or -1))
    assert (tmp_path / "dataset.json").exists() == (images is None)
    # Written, but not noted yet when the build was killed.
    (tmp_path / "train-00007-of-00009.tfrecord").write_bytes(b"")
    (tmp_path / ".train-00008-of-00009.tfrecord.partial").write_bytes(b"")
    put_strangers(tmp_path)
    build(source, tmp_path, CONFIG, workers=1, overwrite=True)
    assert content(tmp_path) == {**whole, **STRANGERS}


def test_overwrite_writes_over_no_stranger(photos: Path, tmp_path: Path) -> None:
    source = scan(photos)
    build(source, tmp_path, BuildConfig(side=SIDE, shards=9), workers=1)
    (tmp_path / SHARDS[1]).write_text("mine")
    before = content(tmp_path)
    with pytest.raises(DataError, match=rf"{SHARDS[1]} is not one of .* Move it away"):
        build(source, tmp_path, CONFIG, workers=1, overwrite=True)
    assert content(tmp_path) == before


# Of COCO, of Hugging Face, of a set of ours that is damaged, of nobody.
FOREIGN_CARDS = ['{"images": [], "licenses": []}', '[{"split": "train"}]', "{", "null"]


@pytest.mark.parametrize("card", FOREIGN_CARDS)
def test_a_folder_with_a_foreign_card_is_refused_and_untouched(
    photos: Path, tmp_path: Path, card: str
) -> None:
    put_strangers(tmp_path)
    for name in (*CARDS, *SHARDS, *FOR_OTHERS):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / "dataset.json").write_text(card)
    before = content(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(DataError, match=r"dataset.json .*another folder") as error:
            build(scan(photos), tmp_path, CONFIG, workers=1, overwrite=overwrite)
        assert "overwrite" not in str(error.value)
    assert content(tmp_path) == before


@pytest.mark.parametrize("name", [".build/mine", ".mine"])
def test_hidden_files_of_others_stay(
    photos: Path, tmp_path: Path, whole: dict[str, bytes], name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    build(scan(photos), tmp_path, CONFIG, workers=1)
    assert content(tmp_path) == {**whole, name: b"mine"}


def test_shards_of_a_test_split_are_ours(tmp_path: Path) -> None:
    shard = "test-00000-of-00001.tfrecord"
    settings = build_settings(scan_of(tmp_path / "photos"), CONFIG, [shard])
    out = tmp_path / "out"
    open_state(out, settings)
    for name in (shard, f".build/{shard}.json", "test-mine.tfrecord"):
        (out / name).touch()
    replace_set(out, {**settings, "shards": []})
    assert sorted(content(out)) == [".build/settings.json", "test-mine.tfrecord"]


def scan_of(folder: Path) -> Source:
    """A source of one photo."""
    folder.mkdir()
    smooth_photo(0, 30, 30).save(folder / "cat.0.png")
    return scan(folder)


@pytest.mark.parametrize("name", ["../mine", "mine", "/etc/passwd", "train-1.tfrecord"])
def test_settings_cannot_name_what_no_build_makes(tmp_path: Path, name: str) -> None:
    settings = build_settings(scan_of(tmp_path / "photos"), CONFIG, [name])
    out = tmp_path / "out"
    open_state(out, settings)
    with pytest.raises(DataError, match="is damaged"):
        replace_set(out, settings)


def test_a_lost_list_of_what_was_set_aside_costs_nothing(
    flawed: Path, tmp_path: Path
) -> None:
    source, out = scan(flawed), tmp_path / "records"
    first = build(source, out, CONFIG, workers=1, max_bad=1)
    (out / "quarantine.jsonl").unlink()
    again = build(source, out, CONFIG, workers=1, max_bad=1)
    assert (again.was_finished, again.quarantined) == (True, ())
    assert again.to_json()["quarantined"] == first.to_json()["quarantined"] == 3


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["labels.txt", "train-1.tfrecord", "sub/mine.txt"])
def test_a_foreign_folder_is_refused_and_untouched(
    photos: Path, tmp_path: Path, name: str, overwrite: bool
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(DataError, match="not empty and holds no record set"):
        build(scan(photos), tmp_path, CONFIG, workers=1, overwrite=overwrite)
    assert content(tmp_path) == {name: b"mine"}


def test_a_file_in_the_place_of_the_folder_is_refused(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "records"
    out.write_text("mine")
    with pytest.raises(DataError, match="is a file, not a folder"):
        build(scan(photos), out, CONFIG, workers=1, overwrite=True)
    assert out.read_text() == "mine"


@pytest.mark.parametrize(
    ("images", "message"),
    [(7, "unfinished build of 24 files; the source now has 25"), (None, "other files")],
)
def test_another_source_is_refused(
    photos: Path, tmp_path: Path, images: int | None, message: str
) -> None:
    folder, out = tmp_path / "photos", tmp_path / "records"
    shutil.copytree(photos, folder)
    with suppress(KeyboardInterrupt):
        build(scan(folder), out, CONFIG, workers=1, progress=stop_after(images or -1))
    smooth_photo(99, 30, 30).save(folder / "cat" / "new.jpg")
    before = content(out)
    with pytest.raises(DataError, match=message):
        build(scan(folder), out, CONFIG, workers=1)
    assert content(out) == before


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_photos_are_set_aside_and_move_no_other(
    flawed: Path, tmp_path: Path, workers: int
) -> None:
    config = BuildConfig(storage="raw", side=SIDE, shards=3)
    out = tmp_path / "records"
    report = build(scan(flawed), out, config, workers=workers, max_bad=0.2)
    lines = (out / "quarantine.jsonl").read_text().splitlines()
    bad = [Quarantined(**json.loads(line)) for line in lines]
    assert tuple(bad) == report.quarantined
    reasons = {item.key: item.reason for item in bad}
    assert list(reasons) == ["cat/cut.jpg", "cat/empty.jpg", "dog/text.jpg"]
    assert "truncated" in reasons["cat/cut.jpg"]
    assert reasons["cat/empty.jpg"] == "empty file"
    assert "not an image of a known format" in reasons["dog/text.jpg"]
    assert bad[2].bytes == len("not a photo")
    good = [file.key for file in scan(flawed).files if file.key not in reasons]
    assert filenames(out) == good
    manifest = load_manifest(out)
    assert manifest.quarantined == 3
    counts = [manifest.splits[name].class_counts for name in manifest.splits]
    assert [sum(column) for column in zip(*counts, strict=True)] == [12, 12]
    # With good files in the bad ones' places every other photo lies in its old split.
    for key in reasons:
        smooth_photo(1, 30, 30).save(flawed / key)
    mended = tmp_path / "mended"
    build(scan(flawed), mended, config, workers=1)
    for name in SHARDS:
        kept = set(tf.data.TFRecordDataset(str(out / name)).as_numpy_iterator())
        assert kept <= set(
            tf.data.TFRecordDataset(str(mended / name)).as_numpy_iterator()
        )


@pytest.mark.parametrize(
    ("num_bad", "max_bad", "allowed"),
    [
        (1, 0.01, True),
        (1, 0, False),
        (2, 0.01, False),
        (3, 0.12, True),
        (3, 0.1, False),
    ],
)
def test_how_many_may_be_bad(
    flawed: Path, tmp_path: Path, num_bad: int, max_bad: float, allowed: bool
) -> None:
    for key in ["cat/cut.jpg", "cat/empty.jpg", "dog/text.jpg"][num_bad:]:
        smooth_photo(1, 30, 30).save(flawed / key)
    source, out = scan(flawed), tmp_path / "records"
    if allowed:
        report = build(source, out, CONFIG, workers=1, max_bad=max_bad)
        assert len(report.quarantined) == num_bad
        return
    with pytest.raises(DataError) as raised:
        build(source, out, CONFIG, workers=1, max_bad=max_bad)
    assert "'cat/cut.jpg': cannot be decoded" in str(raised.value)
    assert f"`max_bad={max_bad:g}` of 27" in str(raised.value)
    assert not (out / "dataset.json").exists()
    # What was finished is kept, so that allowing more is enough.
    report = build(source, out, CONFIG, workers=1, max_bad=1)
    assert len(report.quarantined) == num_bad


def rot(folder: Path, *keys: str) -> dict[str, bytes]:
    """Make photos unreadable, their sizes as before; returns them as they were."""
    before = {key: (folder / key).read_bytes() for key in keys}
    for key, data in before.items():
        (folder / key).write_bytes(bytes(len(data)))
    return before


@pytest.mark.parametrize("workers", [1, slow(2)])
@pytest.mark.parametrize("beam", [None, ()], ids=["local", "beam"])
def test_photos_that_were_mended_after_too_many_were_bad_are_read_again(
    photos: Path,
    tmp_path: Path,
    whole: dict[str, bytes],
    workers: int,
    beam: tuple[str, ...] | None,
) -> None:
    folder, out = tmp_path / "photos", tmp_path / "records"
    shutil.copytree(photos, folder)
    plan = make_plan(scan(folder).files, ("cat", "dog"), CONFIG)
    # Two in the first shard, one in the third: all noted, or one too many.
    keys = [plan.shards[shard].files[n].key for shard, n in ((0, 0), (0, 5), (2, 3))]
    before = rot(folder, *keys)
    source = scan(folder)

    def run() -> BuildReport:
        return build(source, out, CONFIG, workers=workers, max_bad=0.1, beam=beam)

    for _ in range(2):
        with pytest.raises(DataError, match=r"3 of the first .*finished shards"):
            run()
    # One is mended: that is enough, and its shard alone is made again.
    (folder / keys[1]).write_bytes(before[keys[1]])
    kept = {path: path.stat().st_mtime_ns for path in out.glob("*.tfrecord")}
    report = run()
    assert [bad.key for bad in report.quarantined] == sorted((keys[0], keys[2]))
    assert {
        path.name for path, time in kept.items() if path.stat().st_mtime_ns != time
    } == {SHARDS[0]}
    for key, data in before.items():
        (folder / key).write_bytes(data)
    assert run().was_finished  # it was allowed, and has not changed since
    build(source, out, CONFIG, workers=1, overwrite=True)
    assert content(out) == whole


def test_bad_photos_of_finished_shards_count_again(
    flawed: Path, tmp_path: Path
) -> None:
    source, out = scan(flawed), tmp_path / "records"
    interrupted(source, out, 26, max_bad=1)
    calls: list[int] = []
    with pytest.raises(DataError, match="of the first 20 images cannot be used"):
        build(
            *(source, out, CONFIG),
            workers=1,
            max_bad=0,
            progress=lambda done, total: calls.append(done),
        )
    assert calls == []
    report = build(source, out, CONFIG, workers=1, max_bad=1)
    assert len(report.quarantined) == 3


def test_a_full_disk_is_refused_before_anything_is_written(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5000))
    with pytest.raises(DataError, match=r"not enough room .* 4\.9 KiB are free"):
        build(scan(photos), tmp_path / "records", CONFIG, workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("fraction", "split"), [(0, "train"), (1, "validation")])
def test_a_set_of_one_split(
    photos: Path, tmp_path: Path, fraction: float, split: str
) -> None:
    config = BuildConfig(side=SIDE, validation_fraction=fraction)
    report = build(scan(photos), tmp_path, config, workers=1)
    counts = {name: card.class_counts for name, card in report.manifest.splits.items()}
    assert counts == {"train": (0, 0), "validation": (0, 0), split: (12, 12)}
    assert len(list(tmp_path.glob("*.tfrecord"))) == 1
