"""The `alexnet` command: its subcommands, and how errors and Ctrl-C end it."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from cli import bench, demo, doctor, records, runs, train
from cli.options import examples
from pipeline.errors import AlexnetError

# Wrong usage is 2, by typer.
KNOWN_ERROR, INTERRUPTED = 1, 130
# What options and commands were called before: understood, and not shown.
FORMER_NAMES = {"fit": "resize", "fresh": "overwrite", "plan": "estimate"}


class RootCommand(TyperGroup):
    """The root command; Ctrl-C leaves it as an Abort that says how to go on."""

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:  # typer would end it without a word
            abort = typer.Abort(*error.args)
            abort.exit_code = getattr(error, "exit_code", INTERRUPTED)  # type: ignore[attr-defined]
            raise abort from None


app = typer.Typer(
    name="alexnet",
    cls=RootCommand,
    help="Photos -> records -> a trained AlexNet, with the GPU kept busy.",
    epilog=examples(
        "alexnet records build train/",
        "alexnet fit --mixed-precision",
        "alexnet bench input-pipeline",
    ),
    context_settings={"token_normalize_func": lambda t: FORMER_NAMES.get(t, t)},
    no_args_is_help=True,
    rich_markup_mode=None,  # rich's help costs 0.1 s, a third of what --help may take
    pretty_exceptions_enable=False,
)


def print_version(asked: bool) -> None:
    """Print the versions that the report of a fault needs, and exit."""
    if asked:
        from pipeline.versions import versions

        line = "alexnet {alexnet} (TensorFlow {tensorflow}, Python {python})"
        print(line.format(**versions()))
        raise typer.Exit()


@app.callback()
def root(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Take what stands before the subcommand."""


app.add_typer(records.app, name="records")
app.add_typer(bench.app, name="bench")
train.add_commands(app)
runs.add_commands(app)
doctor.add_commands(app)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    # TensorFlow's start-up chatter (plugins registered twice, missing TensorRT) is no
    # news to a user; warnings and errors still come through with ALEXNET_DEBUG=1.
    debug = bool(os.environ.get("ALEXNET_DEBUG"))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if debug else "3")
    try:
        return app(args=arguments, standalone_mode=False, prog_name="alexnet") or 0
    except TyperException as error:
        error.show()  # type: ignore[attr-defined]  # the parser's errors have it
        return error.exit_code
    except (AlexnetError, OSError) as error:
        if debug:
            raise
        print(f"alexnet: {_told(error)}", file=sys.stderr)
        return KNOWN_ERROR
    except (KeyboardInterrupt, typer.Abort) as error:
        print(f"\n{str(error) or 'interrupted'}", file=sys.stderr)
        return getattr(error, "exit_code", INTERRUPTED)


def _told(error: Exception) -> str:
    """What to say of an error: of the system's, such as a full disk, where and why."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    place = error.filename2 or error.filename
    where = f"{place}: " if place else ""
    return (
        f"{where}{error.strerror}. Mend that or choose another place;"
        " ALEXNET_DEBUG=1 shows where it came up."
    )


demo.add_commands(app, main)


def run() -> None:
    """The console script."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A file's name need not be text, nor every sign one that a terminal knows.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main())
