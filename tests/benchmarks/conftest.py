"""What tests of the bench share: a report of made-up figures."""

from __future__ import annotations

from benchmarks.ladder import Rung
from benchmarks.report import BenchReport
from benchmarks.rounds import Ratio
from benchmarks.shares import Share
from benchmarks.shuffle_quality import ShuffleQuality

MADE_UP = BenchReport(
    data="records",
    storage="jpeg",
    reader="mmap",
    reader_reason="it was asked for",
    batch_size=128,
    num_cpus=2,
    rungs=(
        Rung("shuffle", 1_000_000.0, 0.1),
        Rung("decode", 7_000.0, 0.1),
        Rung("augment", 800.0, 0.1),
    ),
    limits={"jpeg decode": 10_000.0, "disk read": 300_000.0, "augment alone": 1_000.0},
    shares={
        "decode": Share("jpeg decode", 0.7),
        "augment": Share("augment alone", 0.8),
    },
    against={"plain": 6_000.0},
    ratios={"plain": Ratio(1.17, 0.04)},
    first_batch_seconds=0.1,
    cold_images_per_second=None,
    warm_images_per_second=5_000.0,
    resident_bytes=1,
    shuffle_quality=ShuffleQuality(1.0, 1.0),
    bottleneck="augment",
    predictions=(),
    advice="`augment` limits.",
    notes=(),
)
