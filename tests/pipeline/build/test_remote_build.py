"""A build from a bucket into a bucket: the bytes of a local one, however it is broken.

Real kills in processes of their own; the service and the link are on this machine.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from alexnet.pipeline.build import claim as claims
from alexnet.pipeline.build import upload as uploads
from alexnet.pipeline.build.beam import ShardJob
from alexnet.pipeline.build.build import BuildReport, build
from alexnet.pipeline.build.encode_job import EncodeJob, EncodeResult
from alexnet.pipeline.build.plan import ShardPlan, make_plan
from alexnet.pipeline.build.shard import send_shard
from alexnet.pipeline.build.state import (
    STATE,
    build_settings,
    open_state,
    state_fingerprint,
)
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.errors import DataError, RemoteError
from alexnet.pipeline.records.manifest import MANIFEST, load_manifest
from alexnet.pipeline.remote import retry
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.source.scan import ImageFile, scan
from tests.conftest import SIDE, every_s3, slow, smooth_photo
from tests.remote import Link, contents, link_to, upload
from tests.s3 import KEY, S3, SECRET

ROOT = Path(__file__).parents[3]
NUM_SHARDS, NUM_PHOTOS = 5, 40
PROCESSES = ("--direct_running_mode=multi_processing",)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_SECONDS", 0.02)


@dataclass(frozen=True)
class Many:
    """Photos in a folder and in a bucket, one of them bad, and the set of them."""

    folder: Path
    source: Location
    whole: dict[str, bytes]


def config(**settings: Any) -> BuildConfig:
    return BuildConfig(**{"side": SIDE, "shards": NUM_SHARDS, **settings})


def run(source: Place, out: Place, *, workers: int = 1, **settings: Any) -> BuildReport:
    overwrite = settings.pop("overwrite", False)
    return build(
        scan(source), out, config(**settings), workers=workers, overwrite=overwrite
    )


@pytest.fixture(scope="module")
def many(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Many:
    folder, out = (tmp_path_factory.mktemp(name) for name in ("many", "whole"))
    for number in range(NUM_PHOTOS):
        photo = smooth_photo(
            number % (NUM_PHOTOS - 1), 20 + number % 7, 20 + number % 5
        )
        photo.save(folder / f"{('cat', 'dog')[number % 2]}.{number}.png")
    (folder / "cat.99.png").write_bytes(b"no photo")
    run(folder, out)
    return Many(folder, upload(folder, s3.make_bucket() / "train"), contents(out))


@pytest.mark.parametrize(
    ("s3", "storage"),
    [
        ("moto", "jpeg"),
        slow("rclone", "jpeg"),
        *(slow("moto", storage) for storage in ("raw", "yuv420", "original")),
    ],
    indirect=["s3"],
)
def test_the_same_bytes_as_in_a_folder(
    storage: StorageName, photos: Path, tmp_path: Path, bucket: Location
) -> None:
    upload(photos, bucket / "train")
    local = run(photos, tmp_path / "out", storage=storage)
    report = run(bucket / "train", bucket / "records", storage=storage)
    assert contents(bucket / "records") == contents(tmp_path / "out")
    assert report.manifest == local.manifest == load_manifest(bucket / "records")
    assert report.to_json()["data"] == f"{bucket}/records"
    again = run(bucket / "train", bucket / "records", storage=storage)
    assert again.was_finished and again.manifest == report.manifest
    run(bucket / "train", tmp_path / "from-bucket", storage=storage)
    assert contents(tmp_path / "from-bucket") == contents(tmp_path / "out")


@pytest.mark.slow
def test_worker_processes_read_and_write_the_same(many: Many, bucket: Location) -> None:
    report = run(many.source, bucket / "records", workers=2)
    assert contents(bucket / "records") == many.whole
    assert [bad.key for bad in report.quarantined] == ["cat.99.png"]


BUILD = """
import sys
from alexnet.pipeline.build import shard, upload
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.source.scan import scan
from tests.pipeline.build.test_remote_build import config

source, out, endpoint = sys.argv[1:]
options = {"endpoint_url": endpoint}
build(scan(Location(source, options)), Location(out, options), config(), workers=1)
"""


@pytest.mark.slow
@pytest.mark.parametrize("killed_after", [0.3, 0.5, 0.7, 0.9])
def test_a_build_that_is_killed_goes_on(
    killed_after: float, s3: S3, many: Many, bucket: Location, tmp_path: Path
) -> None:
    """Killed with -9 when so much of what it sends has gone over the link."""
    out = bucket / "records"
    with link_to(s3) as link:
        link.bytes_per_second = 2e6
        process = subprocess.Popen(
            [sys.executable, "-c", BUILD, many.source.url, out.url, link.endpoint],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        until = time.monotonic() + 60
        total = sum(map(len, many.whole.values()))
        while link.num_bytes_sent < killed_after * total and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.001)
        process.kill()
        process.wait()
    check_nothing_half(many, out)
    shards_before = {
        key: (out / key).info()["LastModified"] for key in receipts_in(out)
    }
    run(many.source, out)
    assert contents(out) == many.whole
    for key, modified in shards_before.items():  # finished ones were kept
        assert (out / key).info()["LastModified"] == modified


def receipts_in(out: Location) -> list[str]:
    """The shards that have a receipt, which says that they are whole."""
    found = contents(out)
    return [
        key.removeprefix(".build/").removesuffix(".json")
        for key in found
        if key.startswith(".build/train") or key.startswith(".build/validation")
    ]


def check_nothing_half(many: Many, out: Location) -> None:
    found = contents(out)
    assert MANIFEST not in found or {**found, **many.whole} == found
    for name in receipts_in(out):
        assert found[name] == many.whole[name]


@pytest.fixture
def link(s3: S3) -> Iterator[Link]:
    with link_to(s3) as opened:
        yield opened


def far(link: Link, location: Location) -> Location:
    options = {"endpoint_url": link.endpoint, "key": KEY, "secret": SECRET}
    return Location(location.url, options)


@pytest.mark.slow
def test_a_link_that_is_cut_and_a_store_that_is_away(
    link: Link, many: Many, bucket: Location
) -> None:
    def fail() -> None:
        for _ in range(3):
            time.sleep(0.2)
            link.down()
            time.sleep(0.2)
            link.up()

    link.cuts = [20_000, 40_000]
    thread = threading.Thread(target=fail)
    thread.start()
    run(far(link, many.source), far(link, bucket / "records"))
    thread.join()
    assert contents(bucket / "records") == many.whole


@pytest.mark.slow
def test_a_store_that_stays_away_ends_the_build_which_goes_on(
    link: Link, many: Many, bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.2)
    lock, left = threading.Lock(), iter(range(2))

    def send_some(*arguments: Any) -> None:
        with lock:  # what is on its way when the link goes would be cut
            if next(left, None) is None:
                link.down()
            send_shard(*arguments)

    monkeypatch.setattr(uploads, "send_shard", send_some)
    with pytest.raises(RemoteError, match=r"has not answered .* run the same command"):
        run(many.folder, far(link, bucket / "records"))
    check_nothing_half(many, bucket / "records")
    assert len(receipts_in(bucket / "records")) >= 1
    monkeypatch.undo()
    run(many.folder, bucket / "records")
    assert contents(bucket / "records") == many.whole


@pytest.mark.slow
def test_few_shards_are_on_the_disk_at_a_time(
    many: Many, bucket: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(uploads, "MOST_SHARDS", 2)
    seen = []

    def send_slowly(out: Location, attempt: Path, *rest: Any) -> None:
        time.sleep(0.05)
        seen.append(len(list(attempt.glob("*.tfrecord"))))
        send_shard(out, attempt, *rest)

    monkeypatch.setattr(uploads, "send_shard", send_slowly)
    run(many.folder, bucket / "records")
    assert len(seen) > NUM_SHARDS and max(seen) <= 2
    assert list(tmp_path.iterdir()) == []
    assert contents(bucket / "records") == many.whole


@pytest.mark.slow
def test_bytes_that_change_on_the_way_are_sent_again(
    many: Many, bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once each, so that it is the check after sending that finds it."""
    call, spoilt = Location.call, set()

    def spoil(self: Location, action: Any) -> Any:
        result = call(self, action)
        code = getattr(action, "__code__", None)
        if code and "put_file" in code.co_names and self.name not in spoilt:
            spoilt.add(self.name)
            self.write_bytes(b"other bytes")
        return result

    monkeypatch.setattr(Location, "call", spoil)
    run(many.folder, bucket / "records")
    assert len(spoilt) > NUM_SHARDS
    assert contents(bucket / "records") == many.whole


@every_s3
@pytest.mark.slow
def test_other_settings_or_photos_are_refused(many: Many, bucket: Location) -> None:
    out = bucket / "records"
    run(many.source, out)
    with pytest.raises(DataError, match="other settings"):
        run(many.source, out, quality=50)
    smaller = run(many.source, out, shards=2, overwrite=True)
    assert len(smaller.manifest.splits["train"].shards) == 2
    found = contents(out)
    assert not any("of-00005" in key for key in found)
    with pytest.raises(DataError, match="not empty and holds no record set"):
        run(many.source, many.source)
    (bucket / "file").write_bytes(b"1")
    with pytest.raises(DataError, match="is a file, not a folder"):
        run(many.source, bucket / "file")


@every_s3
@pytest.mark.slow
def test_the_later_of_two_builds_goes_on(
    many: Many, bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earlier one stops before it writes again, whatever it was about to do."""
    out = bucket / "records"
    monkeypatch.setattr(uploads, "MOST_SHARDS", 1)
    sent: list[str] = []

    def send_then_rival(*arguments: Any) -> None:
        send_shard(*arguments)
        sent.append(arguments[2].name)
        if len(sent) == 2:
            claims.RemoteClaim(out / ".build").take()

    monkeypatch.setattr(uploads, "send_shard", send_then_rival)
    with pytest.raises(DataError, match=r"another build, on .*, has begun in s3://"):
        run(many.folder, out)
    assert len(sent) == 2
    monkeypatch.undo()
    run(many.folder, out)
    assert contents(out) == many.whole


def test_a_build_that_is_refused_takes_nothing_over(
    many: Many, bucket: Location
) -> None:
    out = bucket / "records"
    (out / ".build/settings.json").write_bytes(
        json.dumps(
            {
                "config": config(quality=50).to_json(),
                "source_fingerprint": "x",
                "num_files": 1,
                "shards": ["train-00000-of-00001.tfrecord"],
            }
        ).encode()
    )
    (out / ".build/owner.json").write_bytes(b'{"token": "theirs", "host": "other"}')
    before = contents(out)
    with pytest.raises(DataError, match="other settings"):
        run(many.folder, out)
    assert contents(out) == before


@pytest.mark.slow
def test_no_credentials_are_written_anywhere(
    link: Link,
    many: Many,
    bucket: Location,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    report = run(far(link, many.source), far(link, bucket / "records"), workers=2)
    run(far(link, many.source), tmp_path / "out")
    written = [*contents(bucket / "records").values(), *contents(tmp_path).values()]
    out, err = capfd.readouterr()
    told = [out, err, caplog.text, repr(report), json.dumps(report.to_json())]
    for text in (*written, *(part.encode() for part in told)):
        assert KEY.encode() not in text and SECRET.encode() not in text


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), PROCESSES])
def test_beams_workers_write_the_same(
    options: tuple[str, ...], many: Many, bucket: Location
) -> None:
    """From a bucket into a bucket, where nobody shares a folder."""
    source, out = scan(many.source), bucket / "records"
    told: list[tuple[int, int]] = []

    def count(done: int, total: int) -> None:
        told.append((done, total))

    report = build(source, out, config(), beam=options, workers=2, progress=count)
    assert contents(out) == many.whole
    assert [bad.key for bad in report.quarantined] == ["cat.99.png"]
    assert report.encoded == NUM_PHOTOS
    assert told[0] == (0, NUM_PHOTOS + 1) and told[-1] == (NUM_PHOTOS + 1,) * 2


@pytest.mark.slow
def test_for_beam_only_one_of_photos_and_records_may_be_in_a_bucket(
    many: Many, bucket: Location, tmp_path: Path
) -> None:
    for source, out in ((many.source, tmp_path), (many.folder, bucket / "records")):
        build(scan(source), out, config(), beam=(), workers=2)
        assert contents(out) == many.whole


@pytest.mark.slow
def test_beam_goes_on_with_what_another_build_has_sent(
    many: Many, bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = bucket / "records"

    def fail(out: Location, attempt: Path, shard: ShardPlan, *layout: Any) -> None:
        if shard.name.startswith("validation"):
            raise RemoteError("the store is gone")
        send_shard(out, attempt, shard, *layout)

    with monkeypatch.context() as patched:
        patched.setattr(uploads, "send_shard", fail)
        with pytest.raises(RemoteError, match="the store is gone"):
            run(many.source, out)
    report = build(scan(many.source), out, config(), beam=(), workers=1)
    assert 0 < report.encoded < NUM_PHOTOS / 2
    assert contents(out) == many.whole


@pytest.mark.parametrize("moment", ["before it writes", "while it writes"])
def test_a_worker_of_beam_whose_build_was_replaced_sends_nothing(
    moment: str, many: Many, bucket: Location
) -> None:
    out, source = bucket / "records", scan(many.folder)
    plan = make_plan(source.files, source.class_names, config())
    names = [shard.name for shard in plan.shards]
    claim, rival = claims.RemoteClaim(out / STATE), claims.RemoteClaim(out / STATE)
    claim.take()
    open_state(out, build_settings(source, config(), names))
    encode_job = EncodeJob(source.store, source.class_names, config(), plan.layout)
    job = ShardJob(out, claim, encode_job, 1000, state_fingerprint(out))
    job = pickle.loads(pickle.dumps(job))  # on another machine

    def encode(files: Sequence[ImageFile]) -> Iterator[EncodeResult]:
        rival.take()
        return map(encode_job.encode, files)

    if moment == "before it writes":
        rival.take()
    with pytest.raises(DataError, match=r"another build, on .*, has begun"):
        job.write(plan.shards[0], encode)
    assert not any(name.startswith("train") for name in contents(out))


def test_a_missing_bucket_is_named_and_not_made(many: Many) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        run(many.folder, Location("s3://no-such-bucket-here/records"))
    assert str(caught.value.filename).startswith("s3://no-such-bucket-here/records")
