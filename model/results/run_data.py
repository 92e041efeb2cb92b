"""The records a run meets after its training: its own, or others that fit it."""

from __future__ import annotations

from shlex import quote

from alexnet.model.training.run import RunFolder
from alexnet.model.training.run_config import RunConfig
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import RunError
from alexnet.pipeline.files import name_some
from alexnet.pipeline.read.image_folder import open_data
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.remote.place import Place, as_place

ALL = "all"


def held_out_split(records: OpenedSet) -> str:
    """The validation split; where there is none, the test split, or else train."""
    return records.manifest.first_split("validation", "test", "train")


def splits_of(records: OpenedSet, split: str) -> list[str]:
    """The splits to read for a split's name or `all`: those that have examples.

    Raises:
        DataError: there is no such split, or it is empty.
    """
    manifest = records.manifest
    if split == ALL:
        held = [name for name, card in manifest.splits.items() if card.num_examples]
        return held or splits_of(records, "train")
    manifest.split(split)
    return [split]


def open_run_data(run: RunFolder, data: Place | None = None) -> OpenedSet:
    """Open the records, or photos, that a run was trained on, or others like them.

    Shards of a set at a URL are kept where the run kept them.

    Raises:
        RunError: they do not fit the run, or are not its own and `data` is None.
        DataError: they cannot be opened.
    """
    config = run.load_config()
    # Photos are cut as the run's own records were.
    cut = BuildConfig(storage="original", side=config.stored_side, resize=config.resize)
    records = open_data(data or as_place(config.data), cut, config.train)
    require_fitting(config, records)
    if data is None and records.manifest.fingerprint != config.records_fingerprint:
        command = f"alexnet evaluate {quote(str(run.path))} {quote(config.data)}"
        raise RunError(
            f"these are other {records.kind} than the run's: {config.data} has changed"
            " since it was trained, or was built anew. Put the run's own back, or"
            f" evaluate on these by naming them: `{command}`."
        )
    # Of another storage, they are delivered as that has them.
    is_alike = records.manifest.config.storage == config.storage
    return records.decoded_as(config.train.decode) if is_alike else records


def require_fitting(config: RunConfig, records: OpenedSet) -> None:
    """Check that the records have the run's classes, side and resize mode.

    Raises:
        RunError: the classes differ, or the side or resize mode of the stored squares.
    """
    folder, stored = records.place, records.manifest.config
    names = records.manifest.class_names
    if names != config.class_names:
        raise RunError(
            f"the run tells {name_some(config.class_names)} apart; the records in"
            f" {folder} hold {name_some(names)}"
            f" ({_difference(config.class_names, names)})."
            " Choose records of the run's own classes."
        )
    side, resize = config.stored_side, config.resize
    if (stored.side, stored.resize) != (side, resize):
        raise RunError(
            f"the run was trained on {side} px records made with `resize={resize!r}`;"
            f" those in {folder} hold {stored.side} px made with"
            f" `resize={stored.resize!r}`. Build them with `side={side}`"
            f" `resize={resize!r}`."
        )


def _difference(ours: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    """Describe how two lists of classes differ; each may have thousands."""
    known, held = set(ours), set(theirs)
    lacking = [name for name in ours if name not in held]
    added = [name for name in theirs if name not in known]
    parts = [
        f"{word} {name_some(names)}"
        for word, names in (("without", lacking), ("with", added))
        if names
    ]
    return ", ".join(parts) or "in another order"
