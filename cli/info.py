"""`alexnet records info`: the classes, splits, sizes and settings of a record set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from alexnet.cli.console import print_json, print_table
from alexnet.cli.options import DataArgument, Json, Verbose, examples

if TYPE_CHECKING:
    from alexnet.pipeline.inspect.info import RecordsInfo
    from alexnet.pipeline.records.manifest import Manifest
    from alexnet.pipeline.remote.place import Place


app = typer.Typer()


@app.command(epilog=examples("alexnet records info records"))
def info(
    data: DataArgument = Path("records"),
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print what a record set holds: classes, splits, sizes, duplicates, settings."""
    from alexnet.pipeline.inspect.info import records_info

    contents = records_info(data)
    if as_json:
        print_json(contents.to_json())
        return
    _print_classes(contents)
    for name, text in _facts(contents).items():
        print(f"{name:<14}{text}")


def _print_classes(contents: RecordsInfo) -> None:
    from alexnet.pipeline.files import format_bytes

    columns = [["class", *contents.manifest.class_names, "all", "shards", "size"]]
    for split, card in contents.manifest.splits.items():
        counts = [f"{count:,}" for count in (*card.class_counts, card.num_examples)]
        size = format_bytes(card.num_bytes)
        columns.append([split, *counts, str(len(card.shards)), size])
        shares = [f"{share:.1%}" for share in contents.class_shares(split)]
        columns.append(["share", *shares, "", "", ""])
    header, *rows = ([*row] for row in zip(*columns, strict=True))
    print_table(str(contents.data), header, rows)


def _facts(contents: RecordsInfo) -> dict[str, str]:
    """Return the lines below the table: a name and a text each."""
    manifest, config = contents.manifest, contents.manifest.config
    facts = {
        "settings": f"{config.storage}, {config.side} px, resize {config.resize},"
        f" quality {config.quality}, seed {config.seed}",
        "an image": _size_text(contents),
        "photos": _photos_text(manifest),
        "duplicates": duplicates_text(manifest, contents.data),
        "set aside": _set_aside_text(contents),
        "read by": f"{contents.reader.name}: {contents.reader.reason}",
    }
    if manifest.layout:
        facts["layout"] = (
            f"{manifest.layout.stride_bytes:,} bytes a record, of which"
            f" {manifest.layout.pixel_bytes:,} are pixels, from byte"
            f" {manifest.layout.pixel_offset}"
        )
    if contents.imbalance:
        facts["note"] = contents.imbalance
    return facts


def _size_text(contents: RecordsInfo) -> str:
    from alexnet.pipeline.files import format_bytes

    size = contents.bytes_per_image
    if size is None:
        return "none"
    low, high = format_bytes(size.min), format_bytes(size.max)
    return f"{format_bytes(size.mean)} ({low} to {high} over the shards)"


def _photos_text(manifest: Manifest) -> str:
    sizes = manifest.source_sizes
    if sizes is None:
        return "sizes not known"
    return (
        f"shorter side {sizes.smallest:,} to {sizes.largest:,} px, median"
        f" {sizes.median:,}; smaller than {manifest.config.side} px and so scaled up:"
        f" {sizes.num_smaller:,}"
    )


def duplicates_text(manifest: Manifest, data: Place) -> str:
    """Return how many photos repeat another, the harm that does, and the remedy."""
    from alexnet.pipeline.build.duplicates import DUPLICATES
    from alexnet.pipeline.files import count

    if manifest.duplicates is None:
        return "not known"
    if not manifest.duplicates:
        return "none"
    repeated = count(
        manifest.duplicates, "photo that repeats another", "photos that repeat another"
    )
    harm = (
        ": a photo that two splits share makes validation too optimistic"
        if manifest.duplicates_across_splits
        else ""
    )
    return (
        f"{repeated} (groups in more than one"
        f" split: {manifest.duplicates_across_splits:,}, with different labels:"
        f" {manifest.duplicates_with_other_label:,}); remove one of each pair listed in"
        f" {data / DUPLICATES} and build anew{harm}"
    )


def _set_aside_text(contents: RecordsInfo) -> str:
    reasons = [f"{count:,} {why}" for why, count in contents.quarantine_reasons.items()]
    if contents.manifest.quarantined and not reasons:
        reasons = ["their list, quarantine.jsonl, is missing or damaged"]
    return f"{contents.manifest.quarantined:,}" + "".join(
        f"; {reason}" for reason in reasons
    )
