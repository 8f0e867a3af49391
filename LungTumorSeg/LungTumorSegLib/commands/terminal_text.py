"""What people read in a terminal at the end of a command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import NOTICE
from ..core.texts import bounded, shown, shown_last

if TYPE_CHECKING:
    from ..lesions import LesionReport


def report_text(report: LesionReport, warnings: Sequence[str], output: Path) -> str:
    """Return the text for the terminal: warnings, one line per lesion, and the output folder."""
    lines = warning_lines(warnings)
    lines += [report.message] if report.message else []
    lines += [
        f"{shown(lesion.segment)}: {lesion.place}, {lesion.volume_ml:.2f} mL, {lesion.long_axis_mm:.0f} x "
        f"{lesion.short_axis_mm:.0f} mm"
        for lesion in report.lesions
    ]
    return "\n".join([*lines, f"Results written to {shown_last(output)}. {NOTICE}"])


def warning_lines(warnings: Sequence[str]) -> list[str]:
    """Return one line per warning."""
    return [f"Warning: {bounded(warning)}" for warning in warnings]
