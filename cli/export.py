"""`alexnet export`: a run's network for use elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from alexnet.cli.console import print_json, say
from alexnet.cli.options import CheckpointOption, Json, RunArgument, Verbose, examples

app = typer.Typer()


@app.command(
    epilog=examples(
        "alexnet export runs/first saved-model",
        "alexnet export runs/first cats.tflite --format tflite",
    )
)
def export(
    run: RunArgument,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder to make, or file to write.")
    ],
    format: Annotated[
        Literal["saved-model", "keras", "tflite", "onnx"],
        typer.Option(help="Format to write; all but saved-model are single files."),
    ] = "saved-model",
    checkpoint: CheckpointOption = "best",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write a run's network for use elsewhere: pictures in, probabilities out.

    A SavedModel takes the bytes of image files, which it shows as `predict` does or
    refuses, or pixels of any size. Every format takes what the network itself takes:
    uint8 pixels of its side. The Keras file is of Keras's own layers, to train on from:
    it takes levels from 0 to 255 as float32, and the layer below its softmax gives
    logits. A TFLite model takes one picture at a time until its input is resized.
    """
    from alexnet.model.results.export import export as run_export
    from alexnet.model.results.file_header import REFUSED, TAKEN

    report = run_export(run, out, format=format, checkpoint=checkpoint)
    if as_json:
        print_json(report.to_json())
        return
    say(f"{out}: {format} of epoch {report.epoch}")
    for name, inputs in report.signatures.items():
        say(f"  {name}: {inputs}")
    if format == "saved-model":
        say(f"It shows {TAKEN} as `predict` does, and refuses {REFUSED}.")
