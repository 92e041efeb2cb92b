"""What was done already, of all that a bench may advise: nothing is advised twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alexnet.benchmarks.doctor.checks import BFLOAT16_SETS
from alexnet.benchmarks.machine import read_processor
from alexnet.benchmarks.settings import gpu_names
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.machine import read_memory
from alexnet.pipeline.read.stream import shuffle_size

if TYPE_CHECKING:
    from alexnet.benchmarks.input_pipeline.plan import BenchPlan


@dataclass(frozen=True)
class Situation:
    """The records, how they are read and used, and what the machine has to give."""

    storage: StorageName
    reader: str
    # Whether mapping is what would be chosen for these records.
    suits_mmap: bool
    side: int
    image_size: int
    batch_size: int
    augment: str
    precision: str
    ram_budget_bytes: int
    # The shuffle buffer's, where records are streamed.
    shuffle_records: int
    num_images: int
    num_bytes: int
    num_shards: int
    # 0 where it is not known.
    memory_bytes: int
    usable_cpus: int
    present_cpus: int
    has_gpu: bool
    # Whether half precision is in the hardware, as on every GPU.
    has_half: bool


def situation_of(plan: BenchPlan) -> Situation:
    """The situation of a bench on this machine."""
    records, config, settings = plan.records, plan.config, plan.settings
    card = records.manifest.split("train")
    processor, memory, gpus = read_processor(), read_memory(), gpu_names()
    return Situation(
        storage=settings.storage,
        reader=settings.reader,
        suits_mmap=records.reader().name == "mmap",
        side=settings.side,
        image_size=config.image_size,
        batch_size=config.batch_size,
        augment=config.augment,
        precision=settings.precision,
        ram_budget_bytes=config.ram_budget_bytes,
        shuffle_records=shuffle_size(card, config.ram_budget_bytes),
        num_images=card.num_examples,
        num_bytes=card.num_bytes,
        num_shards=len(records.shards("train")),
        memory_bytes=memory.usable_bytes if memory else 0,
        usable_cpus=processor.usable_cpus,
        present_cpus=processor.present_cpus,
        has_gpu=bool(gpus),
        has_half=bool(gpus) or bool(processor.flags & BFLOAT16_SETS),
    )
