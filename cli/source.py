"""A source of photos: the argument of commands, and the lines that describe it."""

from __future__ import annotations

from collections import Counter
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet.cli.console import say
from alexnet.cli.options import TAKES_URLS, Place
from alexnet.pipeline.remote.place import as_place

if TYPE_CHECKING:
    from alexnet.pipeline.source.scan import Source

# Class names in the line that describes a source.
MOST_CLASSES = 8

SourceArgument = Annotated[
    Place,
    typer.Argument(
        metavar="SOURCE",
        help="Photos: class folders, names like cat.1.jpg, a CSV"
        " (filename,label[,split]), folders of splits with one of these inside, a zip"
        " or tar of it, or a URL of one of them.",
        **TAKES_URLS,
    ),
]
OutOption = Annotated[
    Place,
    typer.Option(
        metavar="PLACE", help="Folder of the record set, or its URL.", **TAKES_URLS
    ),
]


def say_source(path: Place, source: Source, verbose: bool) -> None:
    """Print how many images of which classes there are, and what was left out."""
    from alexnet.pipeline.files import count, name_some

    by = {"folder": "class folders", "name": "file names", "csv": "a CSV"}
    names = name_some(source.class_names, MOST_CLASSES)
    say(
        f"{path}: {count(len(source.files), 'image')} of"
        f" {count(len(source.class_names), 'class', 'classes')} ({names}), labelled by"
        f" {by[source.labels]}; {count(len(source.ignored), 'other file')} ignored"
    )
    given, sizes = Counter[str](), Counter[int]()
    for file in source.files:
        sizes[file.label] += 1
        if file.split:
            given[file.split] += 1
    if given:
        counts = ", ".join(f"{split} {number:,}" for split, number in given.items())
        drawn = "" if given["validation"] else "; validation is drawn from train"
        say(f"  splits as given: {counts}{drawn}")
    for key in source.ignored if verbose else ():
        say(f"  ignored: {key}")
    for folder, number in source.unlabelled:
        images = count(number, "image")
        say(f"  left out, for want of labels: {images} in {folder}")
    if source.set_aside:
        first = source.set_aside[0]
        say(
            "  set aside, because the label cannot be told:"
            f" {count(len(source.set_aside), 'image')}, such as {first.key!r}:"
            f" {first.reason}"
        )
    for warning in source.warnings:
        say(f"  warning: {warning}")
    singles = [
        source.class_names[label] for label, number in sizes.items() if number == 1
    ]
    if singles:
        say(
            f"  warning: classes with one image, which is trained on: {len(singles):,}"
            f" of {len(source.class_names):,} ({name_some(sorted(singles))})"
        )


def unlabelled_path(source: Source) -> str | None:
    """Return the path of images without labels, quoted for a shell."""
    if not source.unlabelled:
        return None
    folder, _ = source.unlabelled[0]
    place = as_place(source.store.place(folder.removeprefix("./")))
    return quote(str(place).rstrip("/"))
