"""The input pipeline that keeps the GPU busy, and the AlexNet that proves it.

The rooms are links beside this file, to folders of the checkout; an installed package
has them as plain folders.
"""

from __future__ import annotations

from pathlib import Path

# A link that git could not make is a file that holds the link's target.
for _room in ("pipeline", "model", "cli", "benchmarks"):
    if Path(__file__).with_name(_room).is_file():
        raise ImportError(
            f"{Path(__file__).with_name(_room)} is a file and should be a link to the"
            f" folder ../{_room}: this checkout has no symbolic links. Run `git config"
            " core.symlinks true` and `git checkout -- alexnet` on a file system that"
            " has them, or install the wheel."
        )
