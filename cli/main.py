"""The `alexnet` command: its subcommands, and how errors and Ctrl-C end it."""

from __future__ import annotations

import logging
import os
import platform
import sys
import warnings
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from alexnet.cli import (
    bench,
    data_service,
    demo,
    doctor,
    download,
    evaluate,
    export,
    predict,
    records,
    report,
    runs,
    sweep,
    train,
)
from alexnet.cli.options import command_group
from alexnet.cli.quiet import import_tensorflow_quietly
from alexnet.cli.shell_words import option_names, shell_words
from alexnet.pipeline.errors import AlexnetError
from alexnet.pipeline.files import require_local

# Wrong usage is 2, by typer.
KNOWN_ERROR, INTERRUPTED = 1, 130
# Former names of options and commands: understood, and in no help.
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


app = command_group(
    "Photos -> records -> a trained AlexNet, with the GPU kept busy.",
    "alexnet records build train/",
    "alexnet fit --mixed-precision",
    "alexnet bench input-pipeline",
    name="alexnet",
    cls=RootCommand,
    context_settings={"token_normalize_func": lambda t: FORMER_NAMES.get(t, t)},
    pretty_exceptions_enable=False,
)


def print_version(asked: bool) -> None:
    """Print the versions that the report of a fault needs, and exit."""
    if asked:
        from alexnet.pipeline.versions import versions

        libraries = "TensorFlow {tensorflow}, Keras {keras}, Python {python}"
        print(f"alexnet {{alexnet}} ({libraries})".format(**versions()))
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
app.add_typer(data_service.app, name="data-service")
MODULES = (download, train, sweep, evaluate, predict, runs, report, export, doctor)
for module in MODULES:
    app.add_typer(module.app)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    debug = bool(os.environ.get("ALEXNET_DEBUG"))
    _use_onednn()
    _quieten_libraries(debug)
    words = sys.argv[1:] if arguments is None else arguments
    command: Any = get_command(app)
    try:
        _require_local(command, words)
        return command(args=words, standalone_mode=False, prog_name="alexnet") or 0
    except TyperException as error:
        error.show()  # type: ignore[attr-defined]  # the parser's errors have it
        return error.exit_code
    except (AlexnetError, OSError) as error:
        if debug:
            raise
        print(f"alexnet: {_describe(error)}", file=sys.stderr)
        return KNOWN_ERROR
    except (KeyboardInterrupt, typer.Abort) as error:
        print(f"\n{str(error) or 'interrupted'}", file=sys.stderr)
        return getattr(error, "exit_code", INTERRUPTED)


def _require_local(command: Any, words: list[str]) -> None:
    """Check that no parameter that is a path was given a URL.

    A Path keeps one slash of a URL, of which a folder `s3:` would be made.

    Raises:
        DataError: one was.
    """
    name = ""
    while subcommands := getattr(command, "commands", {}):
        name, *words = words or [""]
        command = subcommands.get(name) or subcommands.get(FORMER_NAMES.get(name, ""))
    if command is None:  # the parser says so
        return
    # Wrong words are the parser's to refuse.
    context = command.make_context(name, [*words], resilient_parsing=True)
    for value in context.params.values():
        for path in value if isinstance(value, list | tuple) else [value]:
            if isinstance(path, Path):
                require_local(path)


def _use_onednn() -> None:
    """Have TensorFlow use oneDNN on every x86 CPU, unless told otherwise.

    It does so by itself on those with AVX512-VNNI. On an AMD EPYC with AVX2 a training
    step took 1.3 to 1.6 times as long without.
    """
    if platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def _quieten_libraries(debug: bool) -> None:
    """Silence messages of libraries that a user has not asked for.

    TensorFlow's start-up chatter (plugins registered twice, missing TensorRT) is no
    news; nor is the cache folder that Matplotlib makes where there is no home. Warnings
    and errors still come through with ALEXNET_DEBUG=1.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if debug else "3")
    if not debug:
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        # TensorFlow's own, where it asks a data service.
        warnings.filterwarnings("ignore", "MessageFactory class is deprecated")
        import_tensorflow_quietly()
    try:
        Path.home()
    except RuntimeError:  # Keras would make a folder called ~ in the current one
        os.environ["HOME"] = os.devnull


def _describe(error: Exception) -> str:
    """Return an error's message; of the system's (a full disk), where and why."""
    if not isinstance(error, OSError) or not error.strerror:
        return shell_words(str(error), option_names(get_command(app)))
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
