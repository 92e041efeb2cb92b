"""Arguments and options that several commands share, declared once."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

UNITS = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
UNITS |= {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def parse_size(text: str) -> int:
    """Bytes from a size like 128MiB, 4GiB or 500000.

    Raises:
        typer.BadParameter: it is no size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if not match or match.group(2) not in UNITS:
        raise typer.BadParameter(f"{text!r} is no size; write it like 128MiB or 4GiB")
    return int(float(match.group(1)) * UNITS[match.group(2)])


def given(context: typer.Context, *left_out: str) -> dict[str, Any]:
    """The options on the command line, by name; those left at defaults are not."""
    return {
        name: value
        for name, value in context.params.items()
        if name not in left_out
        and getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }


def hear_tensorflow(verbose: bool) -> bool:
    """Let TensorFlow's own messages through; it reads this when it is imported."""
    if verbose:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    return verbose


def examples(*lines: str) -> str:
    """The end of a command's help: its examples, one a line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        callback=hear_tensorflow,
        help="Say more, TensorFlow's own messages too.",
    ),
]
RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder that `alexnet fit` made.")
]
DataArgument = Annotated[
    Path, typer.Argument(metavar="DATA", help="A folder that `records build` made.")
]
VariantOption = Annotated[
    Literal["article", "paper", "bn"], typer.Option(help="Which AlexNet.")
]
ImageSizeOption = Annotated[int, typer.Option(min=1, help="Side the network takes.")]
WidthOption = Annotated[
    float, typer.Option(help="Channels and units, as a share of the paper's.")
]
AugmentOption = Annotated[
    Literal["article", "paper", "modern", "none"],
    typer.Option(help="How training images are changed at random."),
]
MixedPrecisionOption = Annotated[
    bool,
    typer.Option("--mixed-precision", help="float16 on a GPU, bfloat16 on a CPU."),
]
XlaOption = Annotated[
    bool | None,
    typer.Option("--xla/--no-xla", help="Compile the step. Default: on GPUs."),
]
ReaderOption = Annotated[
    Literal["auto", "stream", "mmap"], typer.Option(help="How shards are read.")
]
RamBudgetOption = Annotated[
    str, typer.Option(metavar="SIZE", help="What the input pipeline may hold.")
]
CheckpointOption = Annotated[
    Literal["best", "last"],
    typer.Option(help="The best epoch by validation accuracy, or the last one."),
]
