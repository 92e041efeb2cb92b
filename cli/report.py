"""`alexnet report` and `alexnet explain`: pages and pictures of what was learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.console import Meter, print_json, say
from alexnet.cli.options import (
    TAKES_URLS,
    CheckpointOption,
    Json,
    Place,
    RunArgument,
    Verbose,
    examples,
)
from alexnet.cli.quiet import start_xla_quietly

app = typer.Typer()


@app.command(
    epilog=examples(
        "alexnet report runs/first",
        "alexnet report runs/first runs/second --out comparison.html",
        "alexnet report bench.json --out bench.html",
    )
)
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Run folders, or one file that `alexnet bench input-pipeline --json`"
            " wrote.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path(
        "report.html"
    ),
    checkpoint: CheckpointOption = "best",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write a page that shows a run, several side by side, or a bench.

    The page is one file that needs no network: curves, classes, confusion, calibration,
    mistakes, filters, samples, times and settings. What a run lacks, it says.
    """
    if any(path.is_file() for path in runs):
        pages = [_report_bench(runs, out)]
    else:
        pages = _report_runs(runs, out, checkpoint)
    if as_json:
        print_json({"report": str(out), "bytes": out.stat().st_size, "runs": pages})
    else:
        say(f"written: {out} ({out.stat().st_size / 2**20:.1f} MiB)")


def _report_runs(
    runs: list[Path], out: Path, checkpoint: str
) -> list[dict[str, object]]:
    from alexnet.model.report.report import write_report
    from alexnet.model.training.hardware import enable_memory_growth
    from alexnet.model.training.run import RunFolder

    enable_memory_growth()
    start_xla_quietly()
    folders = [RunFolder(path) for path in dict.fromkeys(runs)]
    with Meter("evaluating", "images") as meter:
        reports = write_report(folders, out, checkpoint, meter.show)
    for made in reports:
        for reason in made.missing:
            say(f"{made.run.path}: {reason}")
    return [made.to_json() for made in reports]


def _report_bench(files: list[Path], out: Path) -> dict[str, object]:
    from alexnet.benchmarks.input_pipeline.bench_page import write_bench_page

    if len(files) > 1:
        raise typer.BadParameter(
            "a bench's report gets a page of its own: name it alone"
        )
    write_bench_page(files[0], out)
    return {"run": str(files[0])}


@app.command(
    epilog=examples(
        "alexnet explain runs/first photo.jpg",
        "alexnet explain runs/first mistakes/ --out explained",
    )
)
def explain(
    run: RunArgument,
    images: Annotated[
        list[Place],
        typer.Argument(
            metavar="IMAGE...",
            help="Image files; folders, archives, tables, patterns of them; or URLs of"
            " these.",
            **TAKES_URLS,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the pictures.")] = Path(
        "explained"
    ),
    checkpoint: CheckpointOption = "best",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Draw what an answer rests on: Grad-CAM and occlusion maps beside the picture.

    Grad-CAM shows what speaks for the answer in the last layer that still knows of
    places; occlusion, how much less probable the answer is with a place hidden.
    """
    from alexnet.model.results.explain import explain as run_explain

    with Meter("explaining", "images") as meter:
        made = run_explain(run, images, out, checkpoint=checkpoint, progress=meter.show)
    if as_json:
        print_json(made.to_json())
    for image in made.images:
        say(f"{image.image}: {image.error or image.answer}")
    say(f"{made.checkpoint} checkpoint, epoch {made.epoch}")
    if any(image.error for image in made.images):
        raise typer.Exit(1)
