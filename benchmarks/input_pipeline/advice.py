"""What to change where a stage limits: of all that helps there, what is left to do.

Pure functions. What was done already, or cannot be done with these records, is left
out; where nothing is left, that is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from alexnet.benchmarks.input_pipeline.shares import Share
from alexnet.benchmarks.input_pipeline.situation import Situation
from alexnet.pipeline.config import MIN_RAM_BUDGET_BYTES
from alexnet.pipeline.read.stream import MAX_SHUFFLE_RECORDS, OPEN_SHARDS

# From this share of a limit on, the limit and not the pipeline is what is slow.
NEAR_LIMIT = 0.6
NOTHING_LEFT = "With these records on this machine there is nothing left to change."


def device_advice(stage: str, now: Situation) -> str:
    """What helps a stage on the device."""
    remedies = {
        "to device": _less_to_copy,
        "augment": _lighter_augmentation,
        "train step": _faster_step,
    }
    keeps_up = "The input pipeline keeps up. " if stage == "train step" else ""
    return keeps_up + _sentence(remedies[stage](now))


def host_advice(stage: str, share: Share | None, now: Situation) -> str:
    """What helps a stage on the host, of whose limit `share` is reached."""
    if share and share.share >= NEAR_LIMIT:
        return _sentence(_past_limit(share.limit, now))
    gathers = share is not None and share.limit == "memory gather"
    return _sentence(_gathering(now) if gathers else _at_stage(stage, now))


def shuffle_advice(now: Situation) -> str:
    """What shuffles better; '' where nothing does, or the order is uniform already."""
    if now.reader != "stream":
        return ""
    remedies = [*_mapping(now)]
    if now.shuffle_records < min(now.num_images, MAX_SHUFFLE_RECORDS):
        remedies.append("a larger `fit --ram-budget`")
    if now.storage == "original":
        remedies.append("records that are mapped (`records build --storage jpeg`)")
    return _sentence(iter(remedies)) if remedies else ""


def _less_to_copy(now: Situation) -> Iterator[str]:
    if now.storage != "yuv420" and not now.side % 2:
        yield "half the bytes (`records build --storage yuv420`)"
    yield from _fewer_pixels(now)


def _lighter_augmentation(now: Situation) -> Iterator[str]:
    if not now.has_gpu:
        yield "a GPU (here it runs on the CPUs that decode)"
    if now.augment != "none":
        yield "a lighter `fit --augment`"


def _faster_step(now: Situation) -> Iterator[str]:
    if now.precision == "float32" and now.has_half:
        yield "`alexnet fit --mixed-precision`"
    if 2 * now.batch_size <= now.num_images:
        yield "a larger `fit --batch-size`"
    yield "a faster GPU" if now.has_gpu else "a GPU"


def _past_limit(limit: str, now: Situation) -> Iterator[str]:
    if limit == "disk read":
        yield "a faster disk"
        if now.storage != "jpeg":
            yield "smaller records (`records build --storage jpeg`)"
    if limit == "memory gather" and now.storage == "raw" and not now.side % 2:
        yield "half the bytes (`records build --storage yuv420`)"
    yield from _fewer_pixels(now)
    if limit == "jpeg decode":
        yield _more_cpus(now)


def _gathering(now: Situation) -> Iterator[str]:
    if now.num_bytes > now.memory_bytes:
        yield "memory that holds all of the shards"
    yield from _mapping(now)
    yield _more_cpus(now)


def _at_stage(stage: str, now: Situation) -> Iterator[str]:
    if stage == "read" and now.num_shards < OPEN_SHARDS:
        yield "more shards to read side by side (`records build --shards`)"
    if stage == "shuffle" and _can_hold_less(now):
        yield "a smaller `fit --ram-budget` (fewer records in the shuffle buffer)"
    if stage == "decode":
        yield from _fewer_pixels(now)
    yield from _mapping(now)
    yield _more_cpus(now)


def _can_hold_less(now: Situation) -> bool:
    return now.reader == "stream" and now.ram_budget_bytes > MIN_RAM_BUDGET_BYTES


def _mapping(now: Situation) -> Iterator[str]:
    if now.reader == "stream" and now.suits_mmap:
        yield "`fit --reader mmap`"


def _fewer_pixels(now: Situation) -> Iterator[str]:
    """The network takes `image_size` of them, which the records must hold."""
    if now.side > now.image_size:
        yield f"fewer pixels (`records build --side`, {now.side} now)"


def _more_cpus(now: Situation) -> str:
    if now.usable_cpus < now.present_cpus:
        return (
            f"more CPUs ({now.usable_cpus} of this machine's {now.present_cpus} may be"
            " used)"
        )
    return f"more CPUs ({now.usable_cpus} now)"


def _sentence(remedies: Iterator[str]) -> str:
    *others, last = [*remedies] or [""]
    if not last:
        return NOTHING_LEFT
    told = " or ".join(filter(None, [", ".join(others), last]))
    return f"{told[0].upper()}{told[1:]} would help."
