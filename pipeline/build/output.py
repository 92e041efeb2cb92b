"""The folder that a build writes to: it is checked, locked and cleared here.

Nothing is deleted but the files that a manifest, or the settings of an unfinished
build, name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from alexnet.pipeline.build.claim import Claim, RemoteClaim
from alexnet.pipeline.build.duplicates import DUPLICATES
from alexnet.pipeline.build.quarantine import QUARANTINE
from alexnet.pipeline.build.state import (
    LOCK,
    STATE,
    drop_receipts,
    open_state,
    read_settings,
    settings_of,
)
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import partial_path
from alexnet.pipeline.lock import removed_when_empty, sole_process
from alexnet.pipeline.records.interop import INDEX_FOLDER, TFDS_FILES, index_name
from alexnet.pipeline.records.manifest import LABELS, MANIFEST, load_manifest
from alexnet.pipeline.records.storage import STORAGES
from alexnet.pipeline.remote.place import Place, names_in

ANEW = "Say `overwrite=True` to build anew, or choose another `out`."


def is_set(out: Place) -> bool:
    """Tell whether a folder holds a record set, finished or not."""
    with suppress(DataError):
        return _settings_in(out) is not None
    return False


def _settings_in(out: Place) -> dict[str, Any] | None:
    """Return the settings of the record set in a folder; None without one."""
    if (out / MANIFEST).is_file():
        return settings_of(load_manifest(out))
    return read_settings(out)


def require_usable(out: Place) -> None:
    """Check that `out` is new, empty, or a record set, finished or not.

    Raises:
        DataError: it is something else, which a build must not touch.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file, not a folder. Choose another `out`.")
    if _settings_in(out) is None:
        _require_empty(out)


def _require_empty(out: Place) -> None:
    other = next((name for name in names_in(out) if not name.startswith(".")), None)
    if other:
        raise DataError(
            f"{out} is not empty and holds no record set (it has {other})."
            " Choose another `out`."
        )


def require_ours(out: Place, settings: dict[str, Any]) -> None:
    """Check that `out` is empty, or an unfinished build of the same set.

    Raises:
        DataError: it is another set, or holds what no build made.
    """
    old = read_settings(out)
    if old is None:
        _require_empty(out)
        return
    require_same(out, old["config"], settings["config"])
    if old["source_fingerprint"] != settings["source_fingerprint"]:
        raise DataError(
            f"{out} holds an unfinished build of {old['num_files']} files; the"
            f" source now has {settings['num_files']}, or others. {ANEW}"
        )


def require_same(out: Place, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Check that two sets of settings agree.

    Raises:
        DataError: they do not; the message lists what differs.
    """
    changed = [f"{k} {old.get(k)} -> {new[k]}" for k in new if old.get(k) != new[k]]
    if changed:
        raise DataError(
            f"{out} was built with other settings ({', '.join(changed)}). {ANEW}"
        )


def replace_set(out: Place, settings: dict[str, Any]) -> None:
    """Delete the record set in `out`, if there is one, and begin that of `settings`.

    Raises:
        DataError: a file that is not of that set is in the way.
    """
    old = _settings_in(out)
    if old is None:
        return
    names = _files_of(old)
    for name in _files_of(settings):
        if name not in names and (out / name).exists():
            raise DataError(
                f"{out / name} is not one of the record set's files, and would be"
                " overwritten. Move it away, or choose another `out`."
            )
    open_state(out, old)  # so that, if this is killed, they are still known
    for name in names:
        (out / name).unlink(missing_ok=True)
        if isinstance(out, Path):
            partial_path(out / name).unlink(missing_ok=True)
    if isinstance(out, Path):
        with suppress(OSError):  # there is none, or someone else's files are in it
            (out / INDEX_FOLDER).rmdir()
    drop_receipts(out)
    open_state(out, settings)


def _files_of(settings: dict[str, Any]) -> list[str]:
    """Return the files of a record set; the manifest, which says it is whole, first."""
    shards = settings["shards"]
    names = [MANIFEST, LABELS, QUARANTINE, DUPLICATES, *shards]
    if not STORAGES[settings["config"]["storage"]].is_pixels:
        names += [*TFDS_FILES, *map(index_name, shards)]
    return names


@contextmanager
def sole_build(out: Place) -> Iterator[Claim]:
    """Keep other builds out of `out`; delete it afterwards if it stays empty.

    A store has no locks: there the claim is to be taken, and then asked for.

    Raises:
        DataError: another process builds there.
    """
    if isinstance(out, Path):
        with _locked(out):
            yield Claim()
        return
    claim = RemoteClaim(out / STATE)
    yield claim
    claim.release()  # of a build that failed, the next one takes it over


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    taken = DataError(
        f"another process is building in {out} at this moment. Wait for it to end, or"
        " choose another `out`."
    )
    with removed_when_empty(out):
        try:
            with sole_process(out / STATE / LOCK, taken):
                yield
        finally:
            with suppress(OSError):  # receipts are in it
                (out / STATE).rmdir()
