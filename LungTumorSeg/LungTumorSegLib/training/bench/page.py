"""The page of a bench: one HTML file with tables, training curves and overlays, which needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...core.html_pages import render_page
from .config import BenchConfig
from .tables import METRICS, Results, effort_rows, strata_rows, summary_rows

PAGE = "bench.html"
TEMPLATE = Path(__file__).with_name("bench.html.j2")

SHOWN = ("dice_3d", "dice_2d_tumor_slices", "dice_2d_all_slices", "lesion_sensitivity", "false_positives", "seconds")
"""Metrics of the first table; the others are in the CSV file."""


def write_page(results: Results, config: BenchConfig, runs: Sequence[tuple[str, Path]], folder: Path) -> None:
    """Write the page into ``folder``.

    Args:
        results: The results of the finished runs.
        config: The bench.
        runs: Entry and folder of each finished run; the pictures come from the first run of each entry.
        folder: Folder of the page.
    """
    first: dict[str, Path] = {}
    for entry, place in runs:
        first.setdefault(entry, place)
    values = {
        "config": config,
        "name": Path(config.output).name,
        "finished": len(runs),
        "planned": len(config.entries) * config.folds * len(config.seeds),
        "titles": {metric: METRICS[metric] for metric in SHOWN},
        "efforts": effort_rows(results, config),
        "rows": {(row["entry"], row["metric"]): row for row in summary_rows(results, config)},
        "strata": strata_rows(results, config),
        "metrics": METRICS,
        "number": _number,
        "pictures": [
            (entry, _data(place / "curves.svg", "image/svg+xml"), _data(place / "overlay.png", "image/png"))
            for entry, place in first.items()
        ],
    }
    (folder / PAGE).write_text(render_page(TEMPLATE, values), encoding="utf-8")


def _number(value: Any, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _data(path: Path, kind: str) -> str:
    """Return a picture as a data URI, or "" if it does not exist."""
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}" if path.is_file() else ""
