"""What commands ask of a source of photos, and what they say they found in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from alexnet.cli.console import say

if TYPE_CHECKING:
    from alexnet.pipeline.source.scan import Source

# Class names in the line that says what was found.
SHOWN_CLASSES = 8

SourceArgument = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="Class folders, names like cat.1.jpg, a CSV (filename,label[,split]),"
        " folders of splits with one of these inside, or a zip or tar of it.",
    ),
]
OutOption = Annotated[Path, typer.Option(help="Where the records go.")]
SideOption = Annotated[int, typer.Option(help="Side of the stored square, pixels.")]
ResizeOption = Annotated[
    Literal["crop", "squash"],
    typer.Option(help="The central square of an image, or all of it squashed."),
]
QualityOption = Annotated[int, typer.Option(help="JPEG quality, 1 to 100.")]
LabelsOption = Annotated[
    Literal["auto", "folder", "name", "csv"],
    typer.Option(help="Where the class of an image stands."),
]


def say_found(source: Path, found: Source, verbose: bool) -> None:
    """Say how many images of which classes there are, and what was left out."""
    from alexnet.pipeline.files import count, name_some

    by = {"folder": "class folders", "name": "file names", "csv": "a CSV"}
    names = name_some(found.class_names, SHOWN_CLASSES)
    say(
        f"{source}: {count(len(found.files), 'image')} of"
        f" {count(len(found.class_names), 'class', 'classes')} ({names}), labelled by"
        f" {by[found.labels]}; {count(len(found.ignored), 'other file')} ignored"
    )
    given = Counter(file.split for file in found.files if file.split)
    if given:
        counts = ", ".join(f"{split} {number:,}" for split, number in given.items())
        drawn = "" if given["validation"] else "; validation is drawn from train"
        say(f"  splits as given: {counts}{drawn}")
    for key in found.ignored if verbose else ():
        say(f"  ignored: {key}")
    for folder, number in found.unlabelled:
        images = count(number, "image")
        say(f"  left out, for want of labels: {images} in {folder}")
    if found.set_aside:
        first = found.set_aside[0]
        say(
            "  set aside, because the label cannot be told:"
            f" {count(len(found.set_aside), 'image')}, such as {first.key!r}:"
            f" {first.reason}"
        )
    for warning in found.warnings:
        say(f"  warning: {warning}")
    held = Counter(file.label for file in found.files)
    singles = [
        found.class_names[label] for label, number in held.items() if number == 1
    ]
    if singles:
        say(
            f"  warning: classes with one image, which is trained on: {len(singles):,}"
            f" of {len(found.class_names):,} ({name_some(sorted(singles))})"
        )


def unlabelled_path(found: Source) -> str | None:
    """Return what to give `predict` for the images without labels, for a shell."""
    if not found.unlabelled:
        return None
    folder, _ = found.unlabelled[0]
    return quote(str(Path(found.store.place(folder))))
