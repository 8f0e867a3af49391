"""The content of a result folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from LungTumorSegLib.results.mark import MARK_FILE


def names(folder: Path) -> set[str]:
    """Return all names in ``folder`` except that of the mark."""
    return {path.name for path in folder.iterdir()} - {MARK_FILE}


def lesions_in(folder: Path) -> list[dict[str, str]]:
    """Return the rows of lesions.csv in ``folder``."""
    with (folder / "lesions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary_in(folder: Path) -> dict[str, Any]:
    """Return the content of summary.json in ``folder``."""
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return summary
