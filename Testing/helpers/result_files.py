"""The content of a result folder."""

from __future__ import annotations

from pathlib import Path

from LungTumorSegLib.results.mark import MARK_FILE


def names(folder: Path) -> set[str]:
    """Return all names in ``folder`` except that of the mark."""
    return {path.name for path in folder.iterdir()} - {MARK_FILE}
