"""The CPU time that decoding an image takes: ours, the bare library's and FFCV's.

    python -m alexnet.benchmarks.scripts.decode_cpu_time records

It is that of processes which take turns on a set of `jpeg` records. FFCV takes part
where `make loaders` has set it up, planes where there is libturbojpeg. Ratios are those
of images for the same CPU time, the row's by the column's, in the same round.
"""

from __future__ import annotations

import json
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from alexnet.benchmarks.loaders.environment import PhotoFiles, script_command
from alexnet.benchmarks.rounds import Round, median_and_spread
from alexnet.benchmarks.scripts.turns import started, take_rounds
from alexnet.pipeline.config import ReadConfig
from alexnet.pipeline.errors import AlexnetError, ConfigError
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records

if TYPE_CHECKING:
    import tensorflow as tf

    from alexnet.benchmarks.measure import Deliveries

WAYS = {
    "mapped-rgb": "`jpeg` as RGB, mapped",
    "mapped-planes": "`jpeg` as planes, mapped",
    "tensorflow-rgb": "`jpeg` as RGB, in TensorFlow's operations alone",
    "bare-rgb": "bare libjpeg-turbo, RGB",
    "bare-planes": "bare libjpeg-turbo, planes",
    "ffcv-same-jpeg": "FFCV, `jpg` mode, the same JPEGs",
    "ffcv-jpeg": "FFCV, `jpg` mode, its own JPEGs",
}
# The table's columns; JSON has the ratio of every two.
AGAINST = ("mapped-rgb", "bare-rgb", "ffcv-same-jpeg")


def deliveries(way: str, records: OpenedRecords, batch_size: int) -> Deliveries:
    """Return the deliveries of a way other than FFCV's."""
    from alexnet.benchmarks.limits import plan_limits
    from alexnet.benchmarks.measure import deliver
    from alexnet.pipeline.read.dataset import train_dataset
    from alexnet.pipeline.records.jpeg_planes import JPEG_PLANES

    reads, _, decode = way.partition("-")
    if decode == "planes":
        records = records.decoded_as("planes")
    if reads == "bare":
        limits = {timing.name: timing.start for timing in plan_limits(records, 1)}
        return limits[JPEG_PLANES.limit if decode == "planes" else "jpeg decode"]()
    if reads == "tensorflow":
        return deliver(tensorflow_batches(records, batch_size))
    config = ReadConfig(batch_size=batch_size, reader="mmap")
    return deliver(train_dataset(records, config))


def tensorflow_batches(records: OpenedRecords, batch_size: int) -> tf.data.Dataset:
    """Shuffled batches as a worker of a data service makes them, without Python."""
    import numpy as np
    import tensorflow as tf

    from alexnet.pipeline.read.stage import FOREVER
    from alexnet.pipeline.read.worker_batches import WorkerBatches
    from alexnet.pipeline.records.record_set import RecordSet

    num_images = records.manifest.split("train").num_examples
    shuffled = np.random.default_rng(0).permutation(num_images)

    def rows_of(number: tf.Tensor) -> tf.Tensor:
        places = number * batch_size + tf.range(batch_size, dtype=tf.int64)
        return tf.gather(shuffled, places % num_images)

    there = RecordSet(records.folder.absolute(), records.manifest)
    return WorkerBatches(there, "train", batch_size, rows_of).dataset(0, FOREVER)


def command_of(
    way: str, records: OpenedRecords, photos: PhotoFiles, batch_size: int
) -> list[str]:
    """Return the command that prints the numbers of images that a way delivers.

    Raises:
        ConfigError: what the way needs is not installed.
    """
    if way.startswith("ffcv"):
        return script_command(way, photos, batch_size)
    if way.endswith("planes"):
        records.decoded_as("planes")
    words = ["--ways", way, "--batch-size", str(batch_size), "--deliver"]
    return [sys.executable, "-m", __spec__.name, str(records.folder), *words]


def open_jpeg_records(folder: Path) -> OpenedRecords:
    """A set of `jpeg` records.

    Raises:
        ConfigError: it holds others.
        DataError: it is no record set.
    """
    records = open_records(folder)
    storage = records.manifest.config.storage
    if storage != "jpeg":
        raise ConfigError(
            f"{folder} holds `{storage}` records, and what is counted here is the"
            " decoding of JPEG squares: build records with `--storage jpeg`"
        )
    return records


def measure(records: OpenedRecords, options: Namespace) -> dict[str, Any]:
    """Measure each way; return the report, with the reasons of ways left out.

    Raises:
        ConfigError: no way is there, or one failed.
    """
    photos, left_out = PhotoFiles(records), {}
    with ExitStack() as stack:
        contenders = []
        for way in options.ways:
            try:
                command = command_of(way, records, photos, options.batch_size)
            except ConfigError as missing:
                left_out[way] = str(missing)
                continue
            contenders.append(stack.enter_context(started(way, command)))
            # An epoch, in which shards are checked and code is compiled.
            contenders[-1].warm_up(records.manifest.split("train").num_examples)
        if not contenders:
            raise ConfigError(f"nothing is left to measure: {left_out}")
        rounds = take_rounds(contenders, options.rounds, options.seconds)
    side = records.manifest.config.side
    return {
        "num_cpus": num_cpus(),
        "side": side,
        "batch_size": options.batch_size,
        "rounds": options.rounds,
        "ways": {way: summarize(rounds, way, side) for way in rounds[0]},
        "left_out": left_out,
    }


def summarize(rounds: Sequence[Round], way: str, side: int) -> dict[str, Any]:
    """The figures of a way: of its own, and against the others of the same round."""
    microseconds, spread = median_and_spread([1e6 / rates[way] for rates in rounds])
    return {
        "microseconds": microseconds,
        "spread": spread,
        "megapixels_per_cpu_second": side**2 / microseconds,
        "against": {
            other: _ratio([rates[way] / rates[other] for rates in rounds])
            for other in rounds[0]
            if other != way
        },
    }


def _ratio(values: Sequence[float]) -> dict[str, float]:
    return {"ratio": median(values), "least": min(values), "most": max(values)}


def table(ways: dict[str, dict[str, Any]]) -> str:
    """The figures in Markdown."""
    columns = [other for other in AGAINST if other in ways]
    head = ["way", "us an image (spread)", "megapixels a CPU second"]
    head += [f"against {WAYS[other]}" for other in columns]
    rows = [
        [
            WAYS[way],
            f"{figures['microseconds']:.0f} ({figures['spread']:.0%})",
            f"{figures['megapixels_per_cpu_second']:.0f}",
            *(_cell(figures["against"].get(other)) for other in columns),
        ]
        for way, figures in ways.items()
    ]
    header, *body = [f"| {' | '.join(row)} |" for row in [head, *rows]]
    return "\n".join([header, "|---" * len(head) + "|", *body])


def _cell(ratio: dict[str, float] | None) -> str:
    if ratio is None:
        return "1"
    return f"{ratio['ratio']:.2f} ({ratio['least']:.2f} to {ratio['most']:.2f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table, or JSON; returns the exit code."""
    parser = ArgumentParser(
        "python -m alexnet.benchmarks.scripts.decode_cpu_time", description=__doc__
    )
    parser.add_argument("records", type=Path, help="of the storage `jpeg`")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each turn")
    parser.add_argument("--batch-size", type=int, default=ReadConfig().batch_size)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--deliver", action="store_true", help=SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        records = open_jpeg_records(options.records)
        if options.deliver:
            for images in deliveries(options.ways[0], records, options.batch_size):
                print(images, flush=True)
        report = measure(records, options)
    except AlexnetError as error:
        print(error, file=sys.stderr)
        return 1
    for way, reason in report["left_out"].items():
        print(f"left out, {WAYS[way]}: {reason}", file=sys.stderr)
    print(json.dumps(report, indent=2) if options.json else table(report["ways"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
