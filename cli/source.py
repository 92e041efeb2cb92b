"""What commands ask of a source of photos, and what they say they found in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.console import say

if TYPE_CHECKING:
    from pipeline.folder import Source

SourceArgument = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="Class folders, names like cat.1.jpg, a CSV (filename,label), or a zip or"
        " tar of one of these.",
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
    by = {"folder": "class folders", "name": "file names", "csv": "a CSV"}
    names = ", ".join(found.class_names[:8]) + (
        ", ..." if len(found.class_names) > 8 else ""
    )
    say(
        f"{source}: {len(found.files):,} images of {len(found.class_names)} classes"
        f" ({names}), labelled by {by[found.labels]}; {len(found.ignored)} other files"
        " ignored"
    )
    for key in found.ignored if verbose else ():
        say(f"  ignored: {key}")
    counts = [0] * len(found.class_names)
    for file in found.files:
        counts[file.label] += 1
    for name, count in zip(found.class_names, counts, strict=True):
        if count == 1:
            say(
                f"  warning: class {name!r} has one image: no split but one can hold it"
            )
