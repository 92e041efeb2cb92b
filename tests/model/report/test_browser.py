"""A page in a browser, where there is one: no complaint, and tables that sort."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from alexnet.model.report.report import write_report
from alexnet.model.training.run import RunFolder
from tests.model.report.pages import Page

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a browser")
# Clicks on the header of the first table's last column but one, once and again, and
# asks of every picture if it is there.
PROBE = """<script>
const seen = [], table = document.querySelector(".sortable");
const order = () => [...table.tBodies[0].rows].map(row => row.cells[0].textContent);
seen.push(order());
const head = table.tHead.rows[0].cells[3];
head.click(); seen.push(head.ariaSort, order());
head.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"}));
seen.push(head.ariaSort, order());
const broken = [...document.images].filter(image => !image.naturalWidth).length;
const wide = document.documentElement.scrollWidth > innerWidth;
document.title = JSON.stringify({seen, broken, wide});
</script>"""


def dump(page: Path, folder: Path, width: int) -> tuple[Page, str]:
    """The page after its scripts, and what the browser said of it."""
    command = [
        *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
        *(f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900"),
        *("--enable-logging=stderr", "--virtual-time-budget=2000", page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Page(done.stdout), "\n".join(complaints)


@pytest.mark.parametrize("width", [500, 1400])
def test_a_page_in_a_browser(
    trained_run: RunFolder, tmp_path: Path, width: int
) -> None:
    out = tmp_path / "report.html"
    write_report([trained_run], out)
    text = out.read_text()
    recalls = {name: Page(text).row(name, "5", cells=5)[3] for name in ("cat", "dog")}
    out.write_text(text.replace("</body>", f"{PROBE}</body>"))
    page, complaints = dump(out, tmp_path, width)
    assert complaints == ""
    title = page.text.partition("<title>")[2].partition("</title>")[0]
    found = json.loads(title)
    assert (found["broken"], found["wide"]) == (0, False)
    first, falling, most_first, rising, least_first = found["seen"]
    assert (falling, rising) == ("descending", "ascending")
    assert first == ["cat", "dog"] and sorted(most_first) == sorted(least_first)
    values = [float(recalls[name].removesuffix(" %")) for name in most_first]
    assert values == sorted(values, reverse=True)
    assert least_first == most_first[::-1] or len(set(values)) == 1
