"""Run a build plan: worker processes encode, this process writes shard after shard.

A finished shard has its final name and a note of what it holds beside it; a build that
is run again goes on with the shards that lack one. The manifest is written last.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pipeline.config import BuildConfig
from pipeline.errors import DataError
from pipeline.example import write_shard
from pipeline.files import fingerprint, require_room, write_json, write_text
from pipeline.folder import ImageFile, Source
from pipeline.manifest import (
    LABELS,
    MANIFEST,
    QUARANTINE,
    Manifest,
    Shard,
    SplitCard,
    load_manifest,
)
from pipeline.plan import BuildPlan, ShardPlan, Split, make_plan
from pipeline.workers import EncodeJob, encoder, num_cpus

STATE = ".build"
SETTINGS = "settings.json"
Progress = Callable[[int, int], None]


class Quarantined(NamedTuple):
    """An image file that was set aside, and why."""

    key: str
    reason: str
    bytes: int


@dataclass(frozen=True)
class BuildReport:
    """What a build made; `seconds` and the rate are of this run alone."""

    data: Path
    manifest: Manifest
    quarantined: tuple[Quarantined, ...]
    seconds: float
    encoded: int

    @property
    def images_per_second(self) -> float:
        """Images encoded in this run a second; 0 when nothing was left to do."""
        return self.encoded / self.seconds if self.encoded else 0.0

    def to_json(self) -> dict[str, Any]:
        """The report's promised fields."""
        return {
            "data": str(self.data),
            "storage": self.manifest.config.storage,
            "class_names": list(self.manifest.class_names),
            "splits": {
                name: {
                    "num_examples": card.num_examples,
                    "num_shards": len(card.shards),
                    "num_bytes": card.num_bytes,
                }
                for name, card in self.manifest.splits.items()
            },
            "quarantined": len(self.quarantined),
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
        }


def build(
    source: Source,
    out: Path,
    config: BuildConfig,
    *,
    workers: int | None = None,
    max_bad: float = 0.01,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> BuildReport:
    """Write the record set of `source` to `out`, or what is missing of it.

    Args:
        workers: processes that decode and encode; by default one a CPU.
        max_bad: share of the files that may be set aside; a single one always may,
            unless it is 0.
        overwrite: delete a record set made with other settings first.
        progress: is called with the images done and the images in all.

    Raises:
        DataError: other settings or another source made what is there, there is not
            enough room, or more files are bad than `max_bad` allows.
    """
    start = time.monotonic()
    plan = make_plan(source.files, source.class_names, config)
    settings = _settings(source, config)
    if overwrite:
        _remove_set(out)
    finished = _finished_set(out, config, settings["source_fingerprint"])
    if finished:
        shutil.rmtree(out / STATE, ignore_errors=True)  # killed while tidying up
        bad = read_quarantine(out)
        return BuildReport(out, finished, bad, time.monotonic() - start, 0)
    _require_ours(out, settings)
    todo, tally = [], _Tally(plan.num_files, max_bad, progress)
    for shard in plan.shards:
        if _is_finished(out, shard):
            tally.done += len(shard.files)
            tally.bad += _quarantined(_read_note(out, shard))
        else:
            todo.append(shard)
    tally.require_few_bad()
    share_left = 1 - tally.done / tally.total
    require_room(out, round(plan.estimated_bytes * share_left))
    state = _open_state(out, settings)
    _write_shards(out, source, config, todo, workers or num_cpus(), tally)
    manifest, bad = _finish(out, plan, config, settings["source_fingerprint"])
    shutil.rmtree(state)
    return BuildReport(out, manifest, bad, time.monotonic() - start, tally.encoded)


def _settings(source: Source, config: BuildConfig) -> dict[str, Any]:
    files = [[file.key, file.label, file.size_bytes] for file in source.files]
    return {
        "config": config.to_json(),
        "source_fingerprint": fingerprint([source.class_names, files]),
        "num_files": len(files),
    }


def _remove_set(out: Path) -> None:
    """Delete what a build made, and nothing else."""
    if not ((out / MANIFEST).is_file() or (out / STATE).is_dir()):
        return
    (out / STATE).mkdir(exist_ok=True)  # until all else is gone, the folder is ours
    (out / MANIFEST).unlink(missing_ok=True)  # first: a folder that has it is whole
    for name in (LABELS, QUARANTINE):
        (out / name).unlink(missing_ok=True)
    for pattern in ("train-*.tfrecord", "validation-*.tfrecord", ".*.partial"):
        for path in out.glob(pattern):
            path.unlink()
    shutil.rmtree(out / STATE, ignore_errors=True)


def _finished_set(out: Path, config: BuildConfig, source: str) -> Manifest | None:
    """The manifest of `out` when it is this very set; None when there is none."""
    if not (out / MANIFEST).is_file():
        return None
    manifest = load_manifest(out)
    _require_same(out, manifest.config.to_json(), config.to_json())
    if manifest.source_fingerprint != source:
        raise DataError(
            f"{out} was built from other files: the source has changed since. Say"
            " --overwrite to build anew, or choose another --out."
        )
    return manifest


def _require_same(out: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    changed = [f"{k} {old.get(k)} -> {new[k]}" for k in new if old.get(k) != new[k]]
    if changed:
        raise DataError(
            f"{out} was built with other settings ({', '.join(changed)}). Say"
            " --overwrite to build anew, or choose another --out."
        )


def _require_ours(out: Path, settings: dict[str, Any]) -> None:
    """Check that `out` is new, empty, or an unfinished build of the same set."""
    path = out / STATE / SETTINGS
    if path.is_file():
        old = json.loads(path.read_text(encoding="utf-8"))
        _require_same(out, old["config"], settings["config"])
        if old["source_fingerprint"] != settings["source_fingerprint"]:
            raise DataError(
                f"{out} holds an unfinished build of {old['num_files']} files; the"
                f" source now has {settings['num_files']}, or others. Say --overwrite"
                " to build anew, or choose another --out."
            )
        return
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file, not a folder. Choose another --out.")
    strangers = sorted(p.name for p in out.glob("[!.]*"))
    if strangers:
        raise DataError(
            f"{out} is not empty and holds no record set (it has {strangers[0]})."
            " Choose another --out."
        )


def _open_state(out: Path, settings: dict[str, Any]) -> Path:
    """The folder of the unfinished build's notes, made or found again."""
    state = out / STATE
    state.mkdir(parents=True, exist_ok=True)
    write_json(state / SETTINGS, settings)
    return state


def _note_path(out: Path, shard: ShardPlan) -> Path:
    return out / STATE / f"{shard.name}.json"


def _is_finished(out: Path, shard: ShardPlan) -> bool:
    return (out / shard.name).is_file() and _note_path(out, shard).is_file()


class _Tally:
    """Images done and set aside so far, against how many may be."""

    def __init__(self, total: int, max_bad: float, progress: Progress):
        self.total, self.max_bad = total, max_bad
        self.done = self.encoded = 0
        self.bad: list[Quarantined] = []
        self.progress = progress

    def add(self, bad: Quarantined | None) -> None:
        """Count one image.

        Raises:
            DataError: it is one bad image too many.
        """
        self.done += 1
        self.encoded += bad is None
        if bad is not None:
            self.bad.append(bad)
            self.require_few_bad()
        self.progress(self.done, self.total)

    def require_few_bad(self) -> None:
        allowed = max(1, int(self.max_bad * self.total)) if self.max_bad > 0 else 0
        if len(self.bad) > allowed:
            named = "; ".join(f"{bad.key!r}: {bad.reason}" for bad in self.bad[:5])
            raise DataError(
                f"{len(self.bad)} of the first {self.done} images cannot be used;"
                f" --max-bad {self.max_bad:g} of {self.total} allows {allowed}: {named}"
                "."
                " Mend or remove them, or allow more; finished shards are kept."
            )


def _write_shards(
    out: Path,
    source: Source,
    config: BuildConfig,
    todo: list[ShardPlan],
    workers: int,
    tally: _Tally,
) -> None:
    files = [file for shard in todo for file in shard.files]
    tally.progress(tally.done, tally.total)
    job = EncodeJob(source.store, source.class_names, config)
    with encoder(job, workers) as encode:
        results = zip(files, encode(files), strict=True)
        for shard in todo:
            aside: list[Quarantined] = []
            counts: Counter[int] = Counter()
            mine = islice(results, len(shard.files))
            written = write_shard(
                out / shard.name, _kept_records(mine, aside, counts, tally)
            )
            # A shard counts as finished when it and this note are both there.
            note = {
                "shard": asdict(Shard(shard.name, *written)),
                "class_counts": [counts[i] for i in range(len(source.class_names))],
                "quarantined": [bad._asdict() for bad in aside],
            }
            write_json(_note_path(out, shard), note)


def _kept_records(
    results: Iterable[tuple[ImageFile, bytes | str]],
    aside: list[Quarantined],
    counts: Counter[int],
    tally: _Tally,
) -> Iterator[bytes]:
    """The records among `results`; the others go to `aside`, with their reason."""
    for file, result in results:
        if isinstance(result, bytes):
            tally.add(None)
            counts[file.label] += 1
            yield result
        else:
            bad = Quarantined(file.key, result, file.size_bytes)
            aside.append(bad)
            tally.add(bad)


def _read_note(out: Path, shard: ShardPlan) -> dict[str, Any]:
    note: dict[str, Any] = json.loads(_note_path(out, shard).read_text("utf-8"))
    return note


def _quarantined(note: dict[str, Any]) -> list[Quarantined]:
    return [Quarantined(**bad) for bad in note["quarantined"]]


def _finish(
    out: Path, plan: BuildPlan, config: BuildConfig, source_fingerprint: str
) -> tuple[Manifest, tuple[Quarantined, ...]]:
    """Write the quarantine list, the labels and, last, the manifest."""
    notes = [(shard.split, _read_note(out, shard)) for shard in plan.shards]
    bad = sorted(item for _, note in notes for item in _quarantined(note))
    lines = "".join(json.dumps(item._asdict()) + "\n" for item in bad)
    write_text(out / QUARANTINE, lines)
    manifest = Manifest(
        config=config,
        class_names=plan.class_names,
        splits={
            split: _split_card(
                [note for where, note in notes if where == split],
                len(plan.class_names),
            )
            for split in get_args(Split)
        },
        quarantined=len(bad),
        source_fingerprint=source_fingerprint,
    )
    manifest.save(out)
    return manifest, tuple(bad)


def _split_card(notes: list[dict[str, Any]], num_classes: int) -> SplitCard:
    shards = tuple(Shard(**note["shard"]) for note in notes)
    counts = [note["class_counts"] for note in notes]
    return SplitCard(
        shards, tuple(sum(row[label] for row in counts) for label in range(num_classes))
    )


def read_quarantine(out: Path) -> tuple[Quarantined, ...]:
    """The image files that the build of `out` set aside, sorted by key."""
    lines = (out / QUARANTINE).read_text(encoding="utf-8").splitlines()
    return tuple(Quarantined(**json.loads(line)) for line in lines)
