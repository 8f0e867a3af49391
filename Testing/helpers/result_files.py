"""What lies in a folder of results."""

from __future__ import annotations

from pathlib import Path

from LungTumorSegLib.results.mark import MARK_FILE


def names(folder: Path) -> set[str]:
    """All names in ``folder`` but the mark's."""
    return {path.name for path in folder.iterdir()} - {MARK_FILE}
