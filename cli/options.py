"""Arguments and options that several commands share, declared once."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from alexnet.model.recipe import RecipeName
from alexnet.pipeline.remote.place import as_place

if TYPE_CHECKING:
    from alexnet.pipeline.remote.place import Place as Place
else:
    Place = Any  # typer takes no unions

UNITS = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
UNITS |= {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def parse_size(text: str) -> int:
    """Return the bytes of a size like 128MiB, 4GiB or 500000.

    Raises:
        typer.BadParameter: it is no size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if not match or match.group(2) not in UNITS:
        raise typer.BadParameter(f"{text!r} is no size; write it like 128MiB or 4GiB")
    return int(float(match.group(1)) * UNITS[match.group(2)])


def given(context: typer.Context) -> set[str]:
    """Return the names of the parameters that stood on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {
        name
        for name, source in sources.items()
        if source and source.name == "COMMANDLINE"
    }


def hear_tensorflow(verbose: bool) -> bool:
    """Let TensorFlow's own messages through; it reads this when it is imported."""
    if verbose:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    return verbose


def examples(*lines: str) -> str:
    """Return the end of a command's help: its examples, one a line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def command_group(purpose: str, *lines: str, **details: Any) -> typer.Typer:
    """Return an app whose help says its purpose and ends with examples."""
    return typer.Typer(
        help=purpose,
        epilog=examples(*lines),
        no_args_is_help=True,
        rich_markup_mode=None,  # rich costs 0.1 s, a third of what --help may take
        **details,
    )


def takes_several(option: str) -> type[TyperCommand]:
    """Return a command whose option takes all the words up to the next option."""

    class Command(TyperCommand):
        """The words are parsed as if each had the option before it."""

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            words: list[str] = []
            option_before = ""
            for word in args:
                if word.startswith("-"):
                    option_before = word
                elif option_before == option and words[-1] != option:
                    words.append(option)
                words.append(word)
            return super().parse_args(ctx, words)

    return Command


# For the `typer.Argument` or `typer.Option` of a Place: a path, or a URL kept whole.
# What is a Path instead refuses URLs.
TAKES_URLS: dict[str, Any] = {"parser": as_place}

Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object, and nothing else, on stdout."),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        callback=hear_tensorflow,
        help="Print more, including TensorFlow's own messages.",
    ),
]
RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="Run folder that `alexnet fit` made.")
]
DataArgument = Annotated[
    Place,
    typer.Argument(
        metavar="DATA",
        help="Record set that `records build` made, or its URL.",
        **TAKES_URLS,
    ),
]
DataServiceOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Have the batches made by the workers of this data service (`alexnet"
        " data-service`). They see the records under the same path.",
    ),
]
CheckpointOption = Annotated[
    Literal["best", "last"],
    typer.Option(help="Take the best epoch by validation accuracy, or the last one."),
]
RecipeOption = Annotated[
    RecipeName | None,
    typer.Option(help="Settings that ship with alexnet; what an option says wins."),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(help="TOML file of settings, over the recipe's; options win."),
]
