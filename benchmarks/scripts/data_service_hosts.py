"""Images a second from one host of a data service and from two, behind slow links.

`python -m alexnet.benchmarks.scripts.data_service_hosts`, as root on Linux. A host is a
network namespace; the kernel holds what leaves it to a rate (tc-tbf(8)). Each serves a
dispatcher of its own, and both of them one more: these two take turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import tensorflow as tf

from alexnet.benchmarks.measure import deliver, measure
from alexnet.benchmarks.rounds import ROUNDS
from alexnet.benchmarks.synthetic import write_shapes
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, ReadConfig
from alexnet.pipeline.read.dataset import train_dataset
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.service.address import parse_address
from alexnet.pipeline.source.scan import scan

HOSTS = ("alexnet-a", "alexnet-b")
# RFC 2544 keeps these addresses for benchmarks.
NETWORK = "198.18.{place}.{end}"
MEGABIT = 10**6 / 8
SIDE, BATCH = 64, 64


@dataclass(frozen=True)
class Speeds:
    """Images a second in each round: from one host, and from two."""

    one: Sequence[float]
    two: Sequence[float]
    # Images a second that a link can carry.
    link: float

    @property
    def ratios(self) -> list[float]:
        """Two hosts by one, in each round."""
        return [two / one for one, two in zip(self.one, self.two, strict=True)]

    def describe(self) -> str:
        """A line for people."""
        one, two = median(self.one), median(self.two)
        return (
            f"link {self.link:,.0f} images/s; one host {one:,.0f}"
            f" ({one / self.link:.2f} of it), two {two:,.0f}"
            f" ({two / self.link / 2:.2f} of theirs); ratio {median(self.ratios):.2f}"
            f" ({min(self.ratios):.2f} to {max(self.ratios):.2f})"
        )


def run(*words: object) -> None:
    """Run a program that must end well."""
    subprocess.run([str(word) for word in words], check=True)


@contextmanager
def slow_host(name: str, place: int, megabits: float) -> Iterator[None]:
    """A network namespace at `NETWORK`'s `place`, whose way out has a rate."""
    here, there = (NETWORK.format(place=place, end=end) for end in (1, 2))
    inside = ("ip", "-n", name)
    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", name, "type", "veth", "peer", "name", "out")
        run("ip", "link", "set", "out", "netns", name)
        run("ip", "address", "add", f"{here}/24", "dev", name)
        run("ip", "link", "set", name, "up")
        run(*inside, "address", "add", f"{there}/24", "dev", "out")
        run(*inside, "link", "set", "out", "up")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "route", "add", "default", "via", here)
        bucket = ("rate", f"{megabits}mbit", "burst", "128kb", "latency", "100ms")
        slow = ("tc", "qdisc", "add", "dev", "out", "root", "tbf", *bucket)
        run("ip", "netns", "exec", name, *slow)
        yield
    finally:
        run("ip", "netns", "delete", name)  # and the link with it


@contextmanager
def server(*words: object, host: str | None = None) -> Iterator[str]:
    """The address of a process of the service, in a namespace or here."""
    there = ("ip", "netns", "exec", host) if host else ()
    command = [
        *there,
        sys.executable,
        "-m",
        "alexnet",
        "data-service",
        *map(str, words),
    ]
    process = subprocess.Popen(
        [*command, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        report = "".join(iter(process.stdout.readline, "}\n")) if process.stdout else ""
        yield json.loads(f"{report}}}")["address"]
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def service(hosts: Sequence[str]) -> Iterator[str]:
    """The address of a dispatcher here, with a worker on each of the hosts."""
    here = NETWORK.format(place=0, end=1)
    with ExitStack() as stack:
        start = stack.enter_context
        dispatcher = parse_address(start(server("dispatcher", "--port", 0)))
        address = str(replace(dispatcher, host=here))
        for host in hosts:
            start(server("worker", address, host=host))
        yield address


def images_per_second(records: OpenedRecords, address: str, seconds: float) -> float:
    """Measure the images a second that the trainer receives."""
    config = ReadConfig(batch_size=BATCH)
    dataset = train_dataset(records, config, data_service=address)
    return measure(deliver(dataset), seconds).images_per_second


def compare(
    records: OpenedRecords, megabits: float, seconds: float, rounds: int = ROUNDS
) -> Speeds:
    """Measure one host and two, in turns."""
    with ExitStack() as stack:
        for place, name in enumerate(HOSTS):
            stack.enter_context(slow_host(name, place, megabits))
        services = [stack.enter_context(service(HOSTS[:n])) for n in (1, 2)]
        measured = [
            [images_per_second(records, address, seconds) for address in services]
            for _ in range(rounds)
        ]
    one, two = zip(*measured, strict=True)
    return Speeds(one, two, megabits * MEGABIT / records.storage.pixel_bytes(SIDE))


def make_records(folder: Path) -> OpenedRecords:
    """Records small enough for slow links."""
    write_shapes(folder / "photos", 1024, SIDE)
    out = folder / "records"
    build(scan(folder / "photos"), out, BuildConfig(side=SIDE, validation_fraction=0))
    return open_records(out)


def main() -> None:
    """Measure, and print a line."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--megabits", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    tf.get_logger().setLevel("ERROR")
    with TemporaryDirectory() as folder:
        records = make_records(Path(folder))
        print(compare(records, arguments.megabits, arguments.seconds).describe())


if __name__ == "__main__":
    main()
