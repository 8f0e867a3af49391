"""One HTML page about a cohort: a picture and the numbers of each CT, and links to the reports."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from .. import NOTICE, __version__
from ..results.contents import PICTURE_FILE, REPORT_FILE
from .output_tables import COHORT_FILE, LESIONS_FILE, PHASES_FILE, Row

OVERVIEW_FILE = "overview.html"
TEMPLATE = Path(__file__).with_name("overview.html.j2")

THUMBNAIL_PIXELS = (180, 135)
"""Largest width and height of a thumbnail; 1,000 of them take about 10 MB."""


def write_overview(rows: Sequence[Row], output: Path, path: Path) -> None:
    """Write the overview as one self-contained file.

    Args:
        rows: The rows of the cohort.
        output: The folder of the cohort, with the result folders.
        path: The file to write, beside the tables.

    Raises:
        OSError: If the file cannot be written.
    """
    from ..core.html_pages import render_page  # It imports jinja2, which only this needs.

    states = Counter(row.record.state for row in rows)
    values = {
        "rows": [(row, _link(row, output), _thumbnail(output / row.item.case / PICTURE_FILE, row)) for row in rows],
        "summary": ", ".join(f"{count} {state}" for state, count in states.items()),
        "lesions": sum(len(row.lesions) for row in rows),
        "files": [name for name in (COHORT_FILE, LESIONS_FILE, PHASES_FILE) if (path.parent / name).is_file()],
        "notice": NOTICE,
        "version": __version__,
    }
    text = render_page(TEMPLATE, values)
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _link(row: Row, output: Path) -> str:
    """Return the relative address of the report, or an empty text without a report."""
    report = output / row.item.case / REPORT_FILE
    return f"{quote(row.item.case)}/{REPORT_FILE}" if row.summary and report.is_file() else ""


def _thumbnail(picture: Path, row: Row) -> str:
    """Return a small JPEG of the 3D view as a data URL; "" if there is no readable picture."""
    if not row.summary or not picture.is_file():
        return ""
    from PIL import Image  # It is slow to import, and only pictures need it.

    small = io.BytesIO()
    try:
        with Image.open(picture) as image:
            image.thumbnail(THUMBNAIL_PIXELS)
            image.convert("RGB").save(small, "JPEG", quality=80)
    except (OSError, ValueError):
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(small.getvalue()).decode('ascii')}"
