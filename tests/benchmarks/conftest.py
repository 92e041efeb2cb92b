"""What tests of the bench share: a report and a situation of made-up figures."""

from __future__ import annotations

from dataclasses import asdict

from alexnet.benchmarks.config import BenchSettings
from alexnet.benchmarks.input_pipeline.advice import Situation
from alexnet.benchmarks.input_pipeline.ladder import Rung, Share
from alexnet.benchmarks.input_pipeline.report import BenchReport
from alexnet.benchmarks.input_pipeline.shuffle_quality import ShuffleQuality
from alexnet.benchmarks.machine import Host
from alexnet.benchmarks.rounds import Ratio

SETTINGS = BenchSettings(
    storage="jpeg",
    side=256,
    resize="crop",
    quality=90,
    reader="mmap",
    decode="rgb",
    batch_size=128,
    ram_budget_bytes=4 * 2**30,
    augment="paper",
    image_size=227,
    precision="float32",
)

# 1000 images of 256 px: 18 kB each as JPEG, 98 304 bytes as planes.
SITUATION = Situation(
    **asdict(SETTINGS),
    suits_mmap=True,
    shuffle_records=1000,
    num_images=1000,
    num_bytes=18_000_000,
    num_shards=4,
    memory_bytes=10**9,
    usable_cpus=2,
    present_cpus=2,
    has_gpu=False,
    has_half=True,
)

MADE_UP = BenchReport(
    data="records",
    settings=SETTINGS,
    reader_reason="it was asked for",
    num_cpus=2,
    host=Host("box", "EPYC", 2, ()),
    versions={"tensorflow": "2.15.1"},
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
    shuffle_quality=ShuffleQuality(1.0, (0.8, 1.2), 1.0),
    bottleneck="augment",
    predictions=(),
    advice="`augment` limits.",
    notes=(),
)
