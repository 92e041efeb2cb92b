"""`alexnet demo`: the whole way on drawn shapes, by the commands a user would type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shlex import join, quote, split
from typing import Annotated

import typer

from alexnet.cli.console import say
from alexnet.cli.options import Verbose, examples

# Enough to learn the shapes in two minutes on two cores; see the README for photos.
IMAGES, PICTURE_SIDE, IMAGE_SIZE, EPOCHS = 1800, 96, 83, 25


def add_commands(app: typer.Typer, run: Callable[[list[str]], int]) -> None:
    """Add `demo` to the root command; `run` executes a command line."""

    @app.command(epilog=examples("alexnet demo", "alexnet demo --out somewhere"))
    def demo(
        out: Annotated[Path, typer.Option(help="Folder for all results.")] = Path(
            "demo"
        ),
        verbose: Verbose = False,
    ) -> None:
        """Draw a set of shapes, build records, train, evaluate, draw pictures.

        The pictures are drawn by the program: they show that everything works, in
        about two minutes on two cores, not how good a network is on photographs.
        """
        from alexnet.benchmarks.synthetic import write_shapes

        source, records, trained = out / "train", out / "records", out / "run"
        say(f"drawing {IMAGES:,} pictures of circles, squares and triangles: {source}")
        write_shapes(source, IMAGES, PICTURE_SIDE)
        for line in demo_lines(source, records, trained):
            say(f"\n$ alexnet {join(line)}")
            code = run(line)
            if code:
                raise typer.Exit(code)
        _say_next(out, trained)


def demo_lines(
    source_path: Path, records_path: Path, run_path: Path
) -> list[list[str]]:
    """Return the command lines of the demo, without the command's name."""
    sheet = quote(str(records_path.parent / "sheet.png"))
    paths = (source_path, records_path, run_path)
    source, records, run = (quote(str(path)) for path in paths)
    lines = [
        f"records build {source} --out {records} --side {PICTURE_SIDE} --shards 4",
        f"fit {records} --run {run} --overwrite --variant bn --width 0.25 --dropout"
        f" 0.25 --image-size {IMAGE_SIZE} --batch-size 32 --epochs {EPOCHS}",
        f"evaluate {run}",
        f"plot {run}",
        # The last: it keeps this process from any GPU.
        f"records show {records} --out {sheet}",
    ]
    return [split(line) for line in lines]


def _say_next(out: Path, trained: Path) -> None:
    from alexnet.cli.plan_messages import fit_command

    say(
        f"""
Done. Look at {out}/sheet.png, and in {trained}/ at curves.png, predictions.png,
mistakes.png, confusion-validation.png and filters.png. Then, with your own photos:

  alexnet records build train/
  {fit_command()}
  alexnet bench input-pipeline"""
    )
