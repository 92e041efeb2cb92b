"""The input pipeline that keeps the GPU busy, and the AlexNet that proves it.

    import alexnet

    records = alexnet.build("train/", "records", storage="raw")
    train = records.train(batch_size=64)
    augment = alexnet.Augment("paper", size=224)
    model.fit(augment.map(train.dataset), steps_per_epoch=train.steps_per_epoch)

The names below are imported when they are first used, so that `import alexnet` costs
nothing. The rooms are links beside this file, to folders of the checkout; an installed
package has them as plain folders.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

# A link that git could not make is a file that holds the link's target.
for _room in ("pipeline", "model", "cli", "benchmarks"):
    if Path(__file__).with_name(_room).is_file():
        raise ImportError(
            f"{Path(__file__).with_name(_room)} is a file and should be a link to the"
            f" folder ../{_room}: this checkout has no symbolic links. Run `git config"
            " core.symlinks true` and `git checkout -- alexnet` on a file system that"
            " has them, or install the wheel."
        )

if TYPE_CHECKING:
    from alexnet.model.results.evaluation import evaluate
    from alexnet.model.results.export import export
    from alexnet.model.results.prediction import predict
    from alexnet.model.training.fit import fit
    from alexnet.pipeline.augment.layer import Augment
    from alexnet.pipeline.errors import (
        AlexnetError,
        ConfigError,
        DataError,
        ReadError,
        RemoteError,
        RunError,
    )
    from alexnet.pipeline.read.build_records import build_records as build
    from alexnet.pipeline.read.image_folder import open_photos
    from alexnet.pipeline.read.mixture import mix
    from alexnet.pipeline.read.opened_records import open_records
    from alexnet.pipeline.remote.location import Location

__all__ = [
    "AlexnetError",
    "Augment",
    "ConfigError",
    "DataError",
    "Location",
    "ReadError",
    "RemoteError",
    "RunError",
    "build",
    "evaluate",
    "export",
    "fit",
    "mix",
    "open_photos",
    "open_records",
    "predict",
]

# Where each name is defined.
_HOMES = {
    **dict.fromkeys(
        (
            *("AlexnetError", "ConfigError", "DataError", "ReadError", "RemoteError"),
            "RunError",
        ),
        "pipeline.errors",
    ),
    "Augment": "pipeline.augment.layer",
    "Location": "pipeline.remote.location",
    "build": "pipeline.read.build_records:build_records",
    "evaluate": "model.results.evaluation",
    "export": "model.results.export",
    "fit": "model.training.fit",
    "mix": "pipeline.read.mixture",
    "open_photos": "pipeline.read.image_folder",
    "open_records": "pipeline.read.opened_records",
    "predict": "model.results.prediction",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    value = getattr(import_module(f"{__name__}.{module}"), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
