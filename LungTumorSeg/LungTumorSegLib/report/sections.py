"""Sections through a lesion as SVG: the CT with outline and rulers, and the histogram of its HU.

No drawing library is needed.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..core.boxes import grow_box
from ..core.colors import Color
from ..core.crops import Crop
from ..core.volume import HU, Array, Mask, Volume
from ..lesions import Lesion, Ruler
from ..lesions.diameters import outline
from .windows import WINDOW_HU, Window

AROUND_MM = 20.0
"""Width of the surroundings that are shown on each side of a lesion, mm."""

PIXELS_PER_MM = 3.0
TEXT_SHARE = 0.06
"""Height of letters as a share of a section's shorter side."""

WHITE: Color = (1.0, 1.0, 1.0)
DASHES = ' stroke-dasharray="1 1"'

SCALE_BAR_MM = 10.0
RULER_COLOR = "#ffe14d"
HISTOGRAM_BIN_HU, TICK_HU = 50, 400

Place = Callable[[float, float], tuple[float, float]]
"""Converts (row, column) of a section to (right, down) in its picture, mm."""


@dataclass(frozen=True)
class Plane:
    """A section of a CT with canonical axes.

    Attributes:
        name: Name of the plane.
        axis: The axis that the plane is perpendicular to: 0 slice, 1 row, 2 column.
        edges: Letters at the left, right, top and bottom edge.
    """

    name: str
    axis: int
    edges: tuple[str, str, str, str]


PLANES = (
    Plane("axial", 0, ("R", "L", "A", "P")),
    Plane("coronal", 1, ("R", "L", "S", "I")),
    Plane("sagittal", 2, ("A", "P", "S", "I")),
)


def sections(crop: Crop, lesion: Lesion, ct: Volume, color: Color) -> dict[str, str]:
    """Draw a lesion in each plane.

    The axial section lies at the long axis, the others at the centroid. Left and right are as on a radiograph.

    Args:
        crop: The lesion's mask, with canonical axes.
        lesion: The measured lesion.
        ct: The CT (HU), with canonical axes.
        color: Color of the outline.

    Returns:
        An SVG picture by the name of the plane.
    """
    box = grow_box(crop.box, AROUND_MM, ct)
    around = ct.crop(*box)
    mask = crop.filling(box)
    index = np.rint(around.lps_to_index(lesion.centroid_lps)).astype(int)
    index[0] = round(float(around.lps_to_index(lesion.long_axis.start_lps)[0]))
    rulers = ((lesion.long_axis, ""), (lesion.short_axis, "2 1.5"))
    return {
        plane.name: _section(plane, int(index[plane.axis]), around, mask, rulers=rulers, color=color)
        for plane in PLANES
    }


def axial_section(
    ct: Volume,
    crops: Sequence[Crop],
    center_lps: Array,
    *,
    half_mm: float,
    color: Color,
    compared: Sequence[Crop] = (),
    window: Window = WINDOW_HU,
) -> str:
    """Draw the axial section through a point, with the outlines of masks in it.

    Args:
        ct: The CT (HU), with canonical axes.
        crops: The masks, cut out of the CT's grid; there may be none.
        center_lps: The point (3,), LPS mm.
        half_mm: Half the width and height of the section, mm; it ends at the edge of the CT.
        color: Color of the outlines.
        compared: Masks whose outlines are dashed white, for comparison.
        window: HU shown as black and as white.

    Returns:
        An SVG picture; "" if the point lies outside the CT.
    """
    index = np.rint(ct.lps_to_index(center_lps)).astype(int)
    if ((index < 0) | (index >= ct.shape)).any():
        return ""
    k, i, j = index.tolist()
    start, stop = grow_box(((k, i, j), (k + 1, i + 1, j + 1)), half_mm, ct)
    around = ct.crop((k, *start[1:]), (k + 1, *stop[1:]))
    inside, beside = (
        _slice_of(masks, k, ct)[None, start[1] : stop[1], start[2] : stop[2]] for masks in (crops, compared)
    )
    return _section(PLANES[0], 0, around, inside, rulers=(), color=color, compared=beside, window=window)


def _slice_of(crops: Sequence[Crop], k: int, ct: Volume) -> Array:
    mask = np.zeros(ct.shape[1:], dtype=bool)
    for crop in crops:
        (first, *_), (last, *_) = crop.box
        if first <= k < last:
            mask[crop.slices[1:]] |= crop.mask.array[k - first]
    return mask


def _section(
    plane: Plane,
    position: int,
    ct: Volume,
    mask: Mask,
    *,
    rulers: Sequence[tuple[Ruler, str]],
    color: Color,
    compared: Mask | None = None,
    window: Window = WINDOW_HU,
) -> str:
    """Draw one section.

    Rows run down. In coronal and sagittal sections the order of the slices is reversed, so that the head is up.
    """
    rows, columns = (axis for axis in range(3) if axis != plane.axis)
    height, width = ct.shape[rows], ct.shape[columns]
    row_mm, column_mm = ct.spacing[rows], ct.spacing[columns]
    image, inside = np.take(ct.array, position, plane.axis), np.take(mask, position, plane.axis)
    head_up = plane.axis != 0

    def place(row: float, column: float) -> tuple[float, float]:
        down = height - 1 - row if head_up else row
        return (column + 0.5) * column_mm, (down + 0.5) * row_mm

    size_mm = width * column_mm, height * row_mm
    shapes = [] if compared is None else [_outline(place, np.take(compared, position, plane.axis), WHITE, DASHES)]
    shapes.append(_outline(place, inside, color))
    if plane.axis == 0:
        for ruler, dashes in rulers:
            shapes.append(_ruler(place, ct, ruler, dashes, 0.8 * _font_mm(size_mm)))
    return _svg(size_mm, _png(image[::-1] if head_up else image, window), shapes, plane.edges)


def _outline(place: Place, inside: Mask, color: Color, dashes: str = "") -> str:
    if not inside.any():
        return ""
    moves = []
    for line in _joined(outline(inside)):
        points = (place(row, column) for row, column in line)
        moves.append("M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points))
    return f'<path d="{"".join(moves)}" stroke="{css(color)}" stroke-width="0.7"{dashes} fill="none"/>'


def _joined(segments: Array) -> Iterator[list[tuple[float, float]]]:
    """Yield lines along which segments (n, 2 ends, 2) meet; the dashes of each line start at its first point."""
    ends = [(tuple(start), tuple(end)) for start, end in segments.tolist()]
    at: dict[tuple[float, ...], list[int]] = {}
    for n, points in enumerate(ends):
        for point in points:
            at.setdefault(point, []).append(n)
    free = set(range(len(ends)))
    for first in range(len(ends)):
        here, line = ends[first][0], [ends[first][0]]
        while following := [n for n in at[here] if n in free]:
            free.remove(following[0])
            start, end = ends[following[0]]
            here = end if here == start else start
            line.append(here)
        if len(line) > 1:
            yield [(row, column) for row, column in line]


def _ruler(place: Place, ct: Volume, ruler: Ruler, dashes: str, font_mm: float) -> str:
    """Draw the line and, beyond its second end, its length."""
    ends = ct.lps_to_index([ruler.start_lps, ruler.end_lps])
    (x0, y0), (x1, y1) = (place(float(row), float(column)) for _, row, column in ends)
    along = np.array([x1 - x0, y1 - y0]) / max(ruler.length_mm, np.finfo(float).tiny)
    away = (1.2 + np.abs(along[0])) * font_mm  # numbers are wider than they are high
    x, y = np.array([x1, y1]) + away * along + [0, 0.35 * font_mm]
    return (
        f'<line x1="{x0:.2f}" y1="{y0:.2f}" x2="{x1:.2f}" y2="{y1:.2f}" stroke="{RULER_COLOR}" '
        f'stroke-width="{font_mm / 7:.2f}" '
        f'stroke-dasharray="{dashes}"><title>{ruler.length_mm:.1f} mm</title></line>'
        f'<text x="{x:.2f}" y="{y:.2f}" {_text_look(font_mm)} text-anchor="middle" '
        f'style="fill:{RULER_COLOR}">{ruler.length_mm:.1f}</text>'
    )


def _svg(size_mm: tuple[float, float], png: bytes, shapes: Sequence[str], edges: tuple[str, str, str, str]) -> str:
    width, height = size_mm
    font = _font_mm(size_mm)
    places = (
        (font, height / 5),
        (width - font, height / 5),
        (0.8 * width, 1.1 * font),
        (0.8 * width, height - 0.4 * font),
    )
    letters = "".join(
        f'<text x="{x:.1f}" y="{y:.1f}">{letter}</text>' for letter, (x, y) in zip(edges, places, strict=True)
    )
    data = base64.b64encode(png).decode("ascii")
    look = f'{_text_look(font)} text-anchor="middle"'
    return (
        f'<svg viewBox="0 0 {width:.2f} {height:.2f}" width="{width * PIXELS_PER_MM:.0f}" '
        f'height="{height * PIXELS_PER_MM:.0f}">'
        f'<image href="data:image/png;base64,{data}" width="{width:.2f}" height="{height:.2f}" '
        'preserveAspectRatio="none"/>'
        f"{''.join(shapes)}<g {look}>{letters}</g>{_scale_bar(size_mm)}</svg>"
    )


def _font_mm(size_mm: tuple[float, float]) -> float:
    """Return the height of letters, mm: the same share of a small picture as of a large one."""
    return TEXT_SHARE * min(size_mm)


def _text_look(font_mm: float) -> str:
    stroke = f'stroke="#000" stroke-width="{font_mm / 6:.2f}" paint-order="stroke"'
    return f'fill="#fff" {stroke} font-size="{font_mm:.2f}" font-family="sans-serif"'


def _scale_bar(size_mm: tuple[float, float]) -> str:
    """Draw a bar of 10 mm in the lower left corner."""
    font = _font_mm(size_mm)
    left, down = font, size_mm[1] - font
    return (
        f'<path d="M{left:.2f} {down:.2f}h{SCALE_BAR_MM:g}" stroke="#fff" stroke-width="{font / 4:.2f}"/>'
        f'<text x="{left:.2f}" y="{down - 0.5 * font:.2f}" {_text_look(0.8 * font)}>{SCALE_BAR_MM:g} mm</text>'
    )


def histogram(values_hu: HU, color: Color) -> str:
    """Draw the distribution of HU values (n,) as SVG, in bins of 50 HU over the window.

    Values outside the window are counted in the outer bins.
    """
    edges = np.arange(WINDOW_HU[0], WINDOW_HU[1] + 1, HISTOGRAM_BIN_HU)
    count, _ = np.histogram(np.clip(values_hu, edges[0], edges[-1] - 1), edges)
    share = count / count.max()
    bars = ""
    for i, (height, low, voxels) in enumerate(zip(95 * share, edges, count, strict=False)):
        title = f"<title>{low:.0f} to {low + HISTOGRAM_BIN_HU:.0f} HU: {voxels} voxels</title>"
        bars += f'<rect x="{10 * i}" y="{100 - height:.1f}" width="9" height="{height:.1f}">{title}</rect>'
    ticks = ""
    for hu in range(math.ceil(edges[0] / TICK_HU) * TICK_HU, int(edges[-1]) + 1, TICK_HU):
        ticks += f'<text x="{(hu - WINDOW_HU[0]) / HISTOGRAM_BIN_HU * 10:.0f}" y="114" text-anchor="middle">{hu}</text>'
    width = 10 * len(count)
    titles = f'<text x="{width / 2:.0f}" y="129" text-anchor="middle">HU</text>'
    titles += '<text transform="translate(-6 50) rotate(-90)" text-anchor="middle">voxels</text>'
    return (
        f'<svg viewBox="-20 0 {width + 35} 134" width="{width + 35}" height="167"><g fill="{css(color)}">{bars}</g>'
        f'<line x1="0" y1="100.5" x2="{width}" y2="100.5" stroke="#888"/>'
        f'<g font-size="11" font-family="sans-serif" fill="#444">{ticks}{titles}</g></svg>'
    )


def css(color: Color) -> str:
    """Return a color (0 to 1) as #rrggbb."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in color)


def _png(hu: HU, window: Window) -> bytes:
    """Return the values in the window as an 8-bit gray PNG."""
    low, high = window
    gray = np.clip((hu.astype(np.float32) - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(gray).save(buffer, "PNG")
    return buffer.getvalue()
