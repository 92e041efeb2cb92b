"""Small tables in HTML, by which results show themselves in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from alexnet.pipeline.pictures import legible

# Of a table, and in its title.
MOST_ROWS, MOST_SIGNS = 20, 500


def html_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> str:
    """Return a titled table of its first rows; the first column is text."""
    lines = [_row("th", columns), *(_row("td", row) for row in rows[:MOST_ROWS])]
    left_out = len(rows) - MOST_ROWS
    more = f"<div>and {left_out:,} more</div>" if left_out > 0 else ""
    return f"<div>{_text(title, MOST_SIGNS)}</div><table>{''.join(lines)}</table>{more}"


def _row(tag: str, cells: Sequence[object]) -> str:
    aligned = ["left", *["right"] * len(cells)]
    return "<tr>{}</tr>".format(
        "".join(
            f'<{tag} style="text-align:{side}">{_text(cell)}</{tag}>'
            for side, cell in zip(aligned, cells, strict=False)
        )
    )


def _text(value: object, longest: int = 60) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return escape(legible(text, longest))
