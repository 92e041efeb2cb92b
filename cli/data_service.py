"""`alexnet data-service ...`: hosts that make the batches of a trainer."""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated, NoReturn

import typer

from alexnet.cli.console import print_json, say
from alexnet.cli.options import Json, Verbose, command_group, examples
from alexnet.pipeline.service.address import PORT, parse_address

LOOK_SECONDS = 0.2
OPEN = (
    "Its port is open on all networks of this machine, without authentication: let"
    " only machines of your own reach it."
)

app = command_group(
    "Lend a trainer other hosts' CPUs: a dispatcher, and workers that join it.\n\n"
    "There is no authentication and no encryption, and the ports are open on every"
    " network of the machine: whoever reaches one can have any file read or written"
    " that its process may. Let none but your own machines reach them: use a private"
    " network, or a firewall.",
    "alexnet data-service dispatcher",
    "alexnet data-service worker localhost:5050",
)


@app.command(
    epilog=examples(
        "alexnet data-service dispatcher",
        "alexnet data-service dispatcher --port 5051",
    )
)
def dispatcher(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; 0 is any that is free.")
    ] = PORT,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Deal out the batches of trainers to workers, until Ctrl-C.

    It makes none itself, and costs next to nothing: it may run beside a trainer.
    """
    from alexnet.model.training.hardware import hide_gpus
    from alexnet.pipeline.service.servers import start_dispatcher

    hide_gpus()
    server = start_dispatcher(port)
    address = server.address
    say(f"dispatcher at {address}. {OPEN}")
    say(
        f"Next, where CPUs are to spare: alexnet data-service worker {address}   and:"
        f" alexnet fit --data-service {address}   From other machines, with this one's"
        " name in place of localhost."
    )
    _serve({"address": str(address)}, as_json)


@app.command(
    epilog=examples(
        "alexnet data-service worker localhost:5050",
        "alexnet data-service worker 10.0.0.1:5050 --port 5051",
    )
)
def worker(
    dispatcher: Annotated[
        str, typer.Argument(metavar="DISPATCHER", help="Its HOST:PORT.")
    ],
    host: Annotated[
        str | None,
        typer.Option(
            help="Address by which trainers reach this machine. Default: the one that"
            " the dispatcher sees, and localhost where that is on this machine."
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; 0 is any that is free.")
    ] = 0,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make batches on all CPUs of this machine, until Ctrl-C.

    The records are read under the path that they have at the trainer's: on a file
    system that both see, or as a copy. A worker may join and go at any time.
    """
    from alexnet.model.training.hardware import hide_gpus
    from alexnet.pipeline.service.servers import start_worker

    hide_gpus()
    joined = parse_address(dispatcher)
    server = start_worker(joined, host or joined.own_host(), port)
    say(f"worker at {server.address}, of the dispatcher at {joined}. {OPEN}")
    _serve({"address": str(server.address), "dispatcher": dispatcher}, as_json)


def _serve(report: dict[str, str], as_json: bool) -> NoReturn:
    """Report the server's address, and end this process upon Ctrl-C or SIGTERM."""
    from alexnet.model.training.signals import StopSignals
    from alexnet.pipeline.versions import versions

    if as_json:
        print_json({**report, "tensorflow": versions()["tensorflow"]})
        sys.stdout.flush()
    with StopSignals() as signals:
        while signals.received is None:
            time.sleep(LOOK_SECONDS)
    say("stopped")
    sys.stderr.flush()
    # Python's own end would wait for a dispatcher that is gone, up to an hour.
    os._exit(128 + signals.received)
