"""HTML pages of templates: self-contained, with pictures inside."""

from __future__ import annotations

import base64
import io
import re
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from alexnet.pipeline.files import write_text
from alexnet.pipeline.pictures import legible


def write_page(path: Path, template: str, **values: Any) -> int:
    """Write a page of a template in `templates`; return its bytes.

    Raises:
        OSError: it cannot be written.
    """
    text = environment().get_template(template).render(**values)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Names of files and classes need be no UTF-8.
    write_text(path, text.encode("utf-8", "backslashreplace").decode("utf-8"))
    return path.stat().st_size


def environment() -> Environment:
    """The templates, and the filters that they use."""
    loader = PackageLoader("alexnet.model.report")
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "legible": legible,
        "code": code,
        "percent": percent,
        "number": number,
        "jpeg": partial(picture, kind="jpeg", quality=85),
        "png": partial(picture, kind="png"),
    }
    return made


def percent(share: float | None) -> str:
    """A share for people: '91.6 %'; '–' where there is none."""
    return "–" if share is None else f"{100 * share:.1f} %"


def number(value: Any) -> str:
    """A setting or a figure for people: 20000 -> '20,000', 0.30000001 -> '0.3'."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(number, value))
    return legible(str(value), 80)


def code(text: Any) -> Any:
    """Text as HTML, in which what stands in backticks is code."""
    return re.sub("`(.*?)`", r"<code>\1</code>", str(escape(text)))


def picture(pixels: np.ndarray, kind: str, **options: Any) -> str:
    """The address of uint8 [height, width, 3], which holds the picture itself."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind, **options)
    encoded = base64.b64encode(data.getvalue()).decode("ascii")
    return f"data:image/{kind};base64,{encoded}"
