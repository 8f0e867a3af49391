"""A small curve for a cell of a table, such as the volume of a lesion over time."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import qt

WIDTH, HEIGHT, MARGIN, LINE, DOT = 52, 18, 3, 2, 5
"""Size of the picture, its margin, and the widths of lines and dots, pixels."""


def places(values: Sequence[float], times: Sequence[float]) -> list[tuple[int, int]]:
    """Return where values lie in the picture, pixels (right, down).

    The lowest place is 0, so that a small change looks small; the highest is the largest value.

    Args:
        values: The values, 0 or more.
        times: Their times, rising.
    """
    span, top = times[-1] - times[0], max(values)
    right, down = WIDTH - 1 - 2 * MARGIN, HEIGHT - 1 - 2 * MARGIN
    return [
        (
            MARGIN + round(right * ((time - times[0]) / span if span else 0.5)),
            MARGIN + round(down * (1 - (value / top if top else 0.0))),
        )
        for value, time in zip(values, times, strict=True)
    ]


def sparkline(values: Sequence[float], times: Sequence[float], color: Sequence[float]) -> Any:
    """Return the curve as a pixmap: a line through all values, and a dot for the last one.

    Args:
        values: See ``places``.
        times: See ``places``.
        color: Red, green and blue, 0 to 1.
    """
    pixmap = qt.QPixmap(WIDTH, HEIGHT)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    points = places(values, times)
    painter, pen = qt.QPainter(), qt.QPen()
    painter.begin(pixmap)
    pen.setColor(qt.QColor.fromRgbF(*color))
    pen.setWidth(LINE)
    painter.setPen(pen)
    for start, end in pairwise(points):
        painter.drawLine(*start, *end)
    pen.setWidth(DOT)
    painter.setPen(pen)
    painter.drawLine(*points[-1], *points[-1])
    painter.end()
    return pixmap


def sparklineLabel(pixmap: Any, toolTip: str) -> Any:
    """Return a label with the picture for a cell; clicks go to the table."""
    label = qt.QLabel()
    label.setPixmap(pixmap)
    label.setAlignment(qt.Qt.AlignCenter)
    label.setToolTip(toolTip)
    label.setAttribute(qt.Qt.WA_TransparentForMouseEvents)
    return label
