"""Advice: of all that helps where a stage limits, what is left to do.

What was done already, or cannot be done with these records, is left out; where nothing
is left, that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from alexnet.benchmarks.config import BenchSettings
from alexnet.benchmarks.input_pipeline.ladder import Share
from alexnet.benchmarks.machine import gpu_names, read_processor
from alexnet.pipeline.config import MIN_RAM_BUDGET_BYTES
from alexnet.pipeline.machine import BFLOAT16_SETS, read_memory
from alexnet.pipeline.read.by_service import STAGE
from alexnet.pipeline.read.choose import OPEN_SHARDS
from alexnet.pipeline.read.stream import MAX_SHUFFLE_RECORDS, shuffle_size

if TYPE_CHECKING:
    from alexnet.benchmarks.input_pipeline.plan import BenchPlan

# From this share of a limit on, the limit and not the pipeline is what is slow.
NEAR_LIMIT = 0.6
NOTHING_LEFT = "With these records on this machine there is nothing left to change."

HALF_THE_BYTES = "half the bytes (`records build --storage yuv420`)"
PLANES = "the JPEGs' planes in place of RGB (`fit --decode planes`)"
# The network takes `image_size` of them, which the records must hold.
FEWER_PIXELS = "fewer pixels (`records build --side`, {now.side} now)"
SMALLER_RECORDS = "smaller records (`records build --storage jpeg`)"
MAPPED_RECORDS = "records that are mapped (`records build --storage jpeg`)"
MORE_SHARDS = "more shards to read side by side (`records build --shards`)"
FASTER_DISK = "a faster disk"
MORE_MEMORY = "memory that holds all of the shards"
MORE_CPUS = "more CPUs ({now.cpus})"
MAPPING = "`fit --reader mmap`"
SMALLER_BUDGET = "a smaller `fit --ram-budget` (fewer records in the shuffle buffer)"
LARGER_BUDGET = "a larger `fit --ram-budget`"
GPU_TO_AUGMENT = "a GPU (here it runs on the CPUs that decode)"
LIGHTER_AUGMENT = "a lighter `fit --augment`"
MIXED_PRECISION = "`alexnet fit --mixed-precision`"
LARGER_BATCH = "a larger `fit --batch-size`"
MORE_WORKERS = "more workers (`alexnet data-service worker`)"
FASTER_NETWORK = "a faster network to them"
GPU, FASTER_GPU = "a GPU", "a faster GPU"

AT_DEVICE_STAGE = {
    "to device": (PLANES, HALF_THE_BYTES, FEWER_PIXELS),
    "augment": (GPU_TO_AUGMENT, LIGHTER_AUGMENT),
    "train step": (MIXED_PRECISION, LARGER_BATCH, GPU, FASTER_GPU),
}
AT_LIMIT = {
    "disk read": (FASTER_DISK, SMALLER_RECORDS, FEWER_PIXELS),
    "memory gather": (HALF_THE_BYTES, FEWER_PIXELS),
    "jpeg decode": (PLANES, FEWER_PIXELS, MORE_CPUS),
    "jpeg decode, planes": (FEWER_PIXELS, MORE_CPUS),
}
FAR_FROM_GATHER = (MORE_MEMORY, MAPPING, MORE_CPUS)
AT_HOST_STAGE = {
    "read": (MORE_SHARDS, MAPPING, MORE_CPUS),
    "shuffle": (SMALLER_BUDGET, MAPPING, MORE_CPUS),
    "decode": (PLANES, FEWER_PIXELS, MAPPING, MORE_CPUS),
    STAGE: (MORE_WORKERS, FASTER_NETWORK, FEWER_PIXELS),
}
AT_OTHER_STAGES = (MAPPING, MORE_CPUS)
AT_SHUFFLING = (MAPPING, LARGER_BUDGET, MAPPED_RECORDS)


@dataclass(frozen=True)
class Situation(BenchSettings):
    """The records, their use, and the resources of the machine."""

    # Whether mapping is what would be chosen for these records.
    suits_mmap: bool
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

    @property
    def cpus(self) -> str:
        """The CPUs in use, in words."""
        if self.usable_cpus == self.present_cpus:
            return f"{self.usable_cpus} now"
        return f"{self.usable_cpus} of this machine's {self.present_cpus} may be used"


def situation_of(plan: BenchPlan) -> Situation:
    """The situation of a bench on this machine."""
    records, card = plan.records, plan.records.manifest.split("train")
    processor, memory, gpus = read_processor(), read_memory(), gpu_names()
    return Situation(
        **asdict(plan.settings),
        suits_mmap=records.reader().random_access,
        shuffle_records=shuffle_size(card, plan.config.ram_budget_bytes),
        num_images=card.num_examples,
        num_bytes=card.num_bytes,
        num_shards=len(records.shards("train")),
        memory_bytes=memory.usable_bytes if memory else 0,
        usable_cpus=processor.usable_cpus,
        present_cpus=processor.present_cpus,
        has_gpu=bool(gpus),
        has_half=bool(gpus) or bool(processor.flags & BFLOAT16_SETS),
    )


def device_advice(stage: str, now: Situation) -> str:
    """Name the remedies for a stage on the device."""
    keeps_up = "The input pipeline keeps up. " if stage == "train step" else ""
    return keeps_up + (_sentence(AT_DEVICE_STAGE[stage], now) or NOTHING_LEFT)


def host_advice(stage: str, share: Share | None, now: Situation) -> str:
    """Name the remedies for a stage on the host that reaches `share` of its limit."""
    if share and share.share >= NEAR_LIMIT:
        remedies = AT_LIMIT[share.limit]
    elif share and share.limit == "memory gather":
        remedies = FAR_FROM_GATHER
    else:
        remedies = AT_HOST_STAGE.get(stage, AT_OTHER_STAGES)
    return _sentence(remedies, now) or NOTHING_LEFT


def shuffle_advice(now: Situation) -> str:
    """Name what shuffles better; '' where nothing does, or the order is uniform."""
    return _sentence(AT_SHUFFLING, now) if now.reader == "stream" else ""


def _sentence(remedies: Sequence[str], now: Situation) -> str:
    """The remedies that are left, as a sentence; '' where none is."""
    done = _is_done(now)
    left = [words.format(now=now) for words in remedies if not done.get(words)]
    *others, last = left or [""]
    words = " or ".join(filter(None, [", ".join(others), last]))
    return f"{words[0].upper()}{words[1:]} would help." if words else ""


def _is_done(now: Situation) -> dict[str, bool]:
    """Every remedy that is not always open: done already, or of no use here."""
    streams = now.reader == "stream"
    is_half = now.decode == "planes" or now.storage == "yuv420" or now.side % 2 == 1
    return {
        # On a CPU, making RGB of them costs more than it spares the decoder.
        PLANES: is_half or now.storage != "jpeg" or not now.has_gpu,
        HALF_THE_BYTES: is_half,
        FEWER_PIXELS: now.side <= now.image_size,
        SMALLER_RECORDS: now.storage == "jpeg",
        MAPPED_RECORDS: now.storage != "original",
        MORE_SHARDS: now.num_shards >= OPEN_SHARDS,
        MORE_MEMORY: now.num_bytes <= now.memory_bytes,
        MAPPING: not streams or not now.suits_mmap,
        SMALLER_BUDGET: not streams or now.ram_budget_bytes <= MIN_RAM_BUDGET_BYTES,
        LARGER_BUDGET: now.shuffle_records >= min(now.num_images, MAX_SHUFFLE_RECORDS),
        GPU_TO_AUGMENT: now.has_gpu,
        LIGHTER_AUGMENT: now.augment == "none",
        MIXED_PRECISION: now.precision != "float32" or not now.has_half,
        LARGER_BATCH: 2 * now.batch_size > now.num_images,
        GPU: now.has_gpu,
        FASTER_GPU: not now.has_gpu,
    }
