"""The report of a build, as it is printed and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.pipeline.records.manifest import Manifest
from alexnet.pipeline.source.scan import Quarantined


@dataclass(frozen=True)
class BuildReport:
    """The outcome of a build; `seconds` and the rate are of this run alone."""

    data: Path
    manifest: Manifest
    # Fewer than the manifest counts where their list is gone.
    quarantined: tuple[Quarantined, ...]
    seconds: float
    encoded: int
    # The set was whole before, so that nothing was left to do.
    was_finished: bool

    @property
    def images_per_second(self) -> float:
        """Images encoded in this run a second; 0 when nothing was left to do."""
        return self.encoded / self.seconds if self.encoded else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the fields that `--json` promises."""
        return {
            "data": str(self.data),
            "storage": self.manifest.config.storage,
            "class_names": list(self.manifest.class_names),
            "splits": {
                name: {
                    "num_examples": card.num_examples,
                    "num_shards": len(card.shards),
                    "num_bytes": card.num_bytes,
                }
                for name, card in self.manifest.splits.items()
            },
            "quarantined": self.manifest.quarantined,
            "duplicates": self.manifest.duplicates,
            "duplicates_across_splits": self.manifest.duplicates_across_splits,
            "duplicates_with_other_label": self.manifest.duplicates_with_other_label,
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
        }
