"""Line charts as SVG: training curves and FROC curves."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from ..core.colors import Color
from ..core.complete_files import complete_file
from ..core.volume import Array
from .sections import css

LINE_COLORS: tuple[Color, ...] = ((0.00, 0.45, 0.70), (0.90, 0.45, 0.00), (0.00, 0.60, 0.45), (0.60, 0.35, 0.65))

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 300, 58, 16, 34, 44
"""Size of a chart and margins of its plot, pixels."""

FEW_POINTS = 12
"""Number of points up to which each point of a curve is marked."""

TICKS = 5

SAME_VALUE = 1e-9
"""Relative difference up to which two values count as the same one, rounded differently."""


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        name: Name of the curve in the legend.
        points: Points (x, y).
    """

    name: str
    points: tuple[tuple[float, float], ...]


def write_curves(log: Path, picture: Path) -> None:
    """Draw the curves of a training from its CSV log as an SVG file.

    The first chart shows the loss of each stage over the steps, the second the whole-volume 3D Dice and the score.
    """
    with log.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    losses = [_line(stage, [row for row in rows if row["stage"] == stage], "loss") for stage in stages]
    scores = [_line(name, rows, name) for name in ("dice", "score")]
    charts = [
        chart("Training loss", losses, "step", "loss"),
        chart("Held-out whole volumes", scores, "step", "3D Dice, score"),
    ]
    with complete_file(picture) as unfinished:
        unfinished.write_text(side_by_side(charts), encoding="utf-8")


def write_froc(curve: Iterable[tuple[float, float]], picture: Path) -> None:
    """Draw sensitivity over false positives per scan as an SVG file.

    Args:
        curve: Points (false positives per scan, sensitivity).
        picture: The SVG file.
    """
    line = Line("lesions found", ((0.0, 0.0), *curve))
    with complete_file(picture) as unfinished:
        unfinished.write_text(
            side_by_side([chart("FROC", [line], "false positives per scan", "sensitivity")]), encoding="utf-8"
        )


def chart(title: str, lines: Sequence[Line], x_name: str, y_name: str, *, from_zero: bool = False) -> str:
    """Return a line chart with axes and legend as an SVG group of ``WIDTH`` x ``HEIGHT`` pixels.

    Curves without points are not drawn.

    Args:
        title: The title.
        lines: The curves.
        x_name: Name of the horizontal axis.
        y_name: Name of the vertical axis.
        from_zero: Whether the vertical axis begins at 0, so that a small change also looks small.
    """
    drawn = [line for line in lines if line.points]
    points = np.array([point for line in drawn for point in line.points] or [(0.0, 0.0)])
    x_ticks, y_ticks = _ticks(points[:, 0]), _ticks(np.append(points[:, 1], [0.0] if from_zero else []))

    def right(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])

    def down(y: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])

    parts = [f'<text x="{LEFT}" y="18" font-weight="bold">{escape(title)}</text>']
    for y in y_ticks:
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(y):.1f}" y2="{down(y):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{down(y) + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in x_ticks:
        parts.append(f'<text x="{right(x):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:g}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_name)}</text>'
    )
    parts.append(
        f'<text transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_name)}</text>"
    )
    names = []
    for number, line in enumerate(drawn):
        color = css(LINE_COLORS[number % len(LINE_COLORS)])
        path = " ".join(f"{right(x):.1f},{down(y):.1f}" for x, y in line.points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.6"/>')
        if len(line.points) <= FEW_POINTS:
            parts += [f'<circle cx="{right(x):.1f}" cy="{down(y):.1f}" r="3" fill="{color}"/>' for x, y in line.points]
        names.append(f'<tspan fill="{color}">{escape(line.name)}</tspan>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="18" text-anchor="end">{"&#8195;".join(names)}</text>')
    return "".join(parts)


def side_by_side(charts: Sequence[str], font_px: int = 12) -> str:
    """Return an SVG file with several charts side by side."""
    groups = "".join(f'<g transform="translate({WIDTH * i} 0)">{content}</g>' for i, content in enumerate(charts))
    width = WIDTH * len(charts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="{font_px}" fill="#333">'
        f'<rect width="100%" height="100%" fill="#fff"/>{groups}</svg>\n'
    )


def _line(name: str, rows: Sequence[dict[str, str]], column: str) -> Line:
    return Line(name, tuple((float(row["step"]), float(row[column])) for row in rows if row[column]))


def _ticks(values: Array) -> list[float]:
    """Return about ``TICKS`` round numbers that enclose the values."""
    low, high = float(values.min()), float(values.max())
    largest = max(abs(low), abs(high))
    spread = high - low if high - low > SAME_VALUE * largest else 0.0
    raw = (spread or largest or 1.0) / TICKS
    size = 10.0 ** np.floor(np.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw * (1 - 1e-9))
    first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
    return [float(step * n) + 0.0 for n in np.arange(first, max(last, first + 1) + 0.5)]
