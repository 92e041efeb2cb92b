"""`alexnet download`: fetch an archive of photos, to build records of."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.console import Meter, print_json, say
from alexnet.cli.options import Json, Verbose, examples
from alexnet.pipeline.remote.known_sets import KNOWN_SETS

app = typer.Typer()


@app.command(
    epilog=examples(
        "alexnet download imagenette-160",
        "alexnet download https://example.org/photos.zip --checksum sha256:0123...",
        "alexnet download s3://bucket/photos.zip --out /data",
    )
)
def download(
    address: Annotated[
        str,
        typer.Argument(
            metavar="URL|NAME",
            help=f"URL of a file, or the name of a set: {', '.join(KNOWN_SETS)}.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="File to write, or a folder for it. Default: this folder."),
    ] = None,
    checksum: Annotated[
        str | None,
        typer.Option(
            metavar="KIND:HEX",
            help="Checksum that the file must have, such as sha256:0123... or md5:...",
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Download an archive of photos, or the rest of one.

    An interrupted download goes on where it stopped. The file is there when it is whole
    and its checksum right. A compressed tar becomes a plain one, which can be read in
    any order.
    """
    from alexnet.pipeline.files import format_bytes
    from alexnet.pipeline.remote.download import download as run_download
    from alexnet.pipeline.remote.download import plan_download

    plan = plan_download(address, out, checksum)
    say(f"{plan.source} -> {plan.out}")
    if plan.licence:
        say(f"licence: {plan.licence}")
    if not plan.checksum:
        say("no checksum is known: give --checksum to compare the file with one")
    try:
        with Meter("downloading", "MiB") as meter:
            report = run_download(
                plan, lambda done, total: meter.show(done >> 20, total >> 20)
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted: what has arrived is kept; run the same command again to go on"
        ) from None
    if as_json:
        print_json(report.to_json())
        return
    if report.seconds:
        size = format_bytes(report.num_bytes)
        say(f"{size} in {report.seconds:.1f} s, {report.checksum}")
    else:
        say(f"{report.out} is there already; nothing to do")
    print(report.out)
    say(f"next: alexnet records build {shlex.quote(str(report.out))}")
