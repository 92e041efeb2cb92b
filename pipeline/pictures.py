"""Figures as PNG files: plain texts, and the project's mark in every file.

Names of classes and files are a user's own: `$5` is no formula, and a character that no
font has is no reason to fail or to warn.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.pipeline.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOFTWARE = "alexnet"
# In the first 256 bytes of every picture that is drawn here: PNG's text chunk, before
# the pixels.
OWN_PICTURE = b"tEXtSoftware\0" + SOFTWARE.encode()
# Matplotlib warns so where it draws a box, or letters that are not joined.
UNDRAWABLE = "Glyph |Matplotlib currently does not support "
# Characters of a name that a picture has room for.
LONGEST = 32


def legible(name: str, longest: int = LONGEST) -> str:
    """Return a user's name on one line, with its middle left out where it is long.

    Characters that cannot be drawn, such as line ends and bytes that are no UTF-8,
    become escapes.
    """
    line = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in name
    )
    if len(line) <= longest:
        return line
    head = longest // 2
    return f"{line[:head]}…{line[head + 1 - longest :]}"


def save_figure(figure: Figure, path: Path, dpi: int = 110) -> None:
    """Write a figure as a PNG, whole or not at all; none of its texts is a formula."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with atomic_path(path) as partial, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=UNDRAWABLE)
        figure.savefig(partial, format="png", dpi=dpi, metadata={"Software": SOFTWARE})
