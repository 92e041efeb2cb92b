"""Apache Beam on the command line: a command's options for it, and what they say."""

from __future__ import annotations

import logging
import shlex
import warnings
from typing import Annotated, Literal

import typer

RunnerOption = Annotated[
    Literal["local", "beam"],
    typer.Option(help="Do the work on this machine, or on workers of Apache Beam."),
]
BeamOptions = Annotated[
    str,
    typer.Option(
        metavar="OPTIONS",
        help="Options for the Beam pipeline, as one quoted word. Default: a runner on"
        " this machine, for trying it.",
    ),
]


def beam_words(runner: str, options: str, verbose: bool) -> list[str] | None:
    """Return the Beam pipeline's options, one by one; None for the local runner.

    Raises:
        ConfigError: Beam is asked for and not installed.
        typer.BadParameter: they are not words, or are for nothing.
    """
    from alexnet.pipeline.beam.options import require_beam

    if runner != "beam":
        if options:
            raise typer.BadParameter("--beam-options go with --runner beam")
        return None
    try:
        words = shlex.split(options)
    except ValueError as error:
        raise typer.BadParameter(f"--beam-options {options!r}: {error}") from error
    require_beam()
    if not verbose:
        # Of Beam and what it imports, about themselves.
        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore", FutureWarning)
    return words
