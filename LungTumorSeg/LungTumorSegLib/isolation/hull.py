"""Where lung is expected in each axial slice because lung lies around it: part of step 4 of lung isolation.

A mass, a collapse or fluid at the chest wall or on the diaphragm has lung on two or three sides. The convex hull of a lung's slice takes it
in where a closing does not (ibsi1_phantom's mass of 359 mL: closing by 20 mm 32 %, hull 90 %, with back and bulge 100 %).
"""

from __future__ import annotations

import numpy as np

from ..core.volume import Array
from .morphology import ROUNDING, Spacing, close, dilate, open_

FARTHEST_MM = 50.0
"""A hull counts within this distance of lung: takes in a mass of 100 mm, and leaves out the middle of a wide diaphragm."""

GAP_RADIUS_MM = 8.0
"""Where a disk of this radius fits between a hull and its lung, something fills the chest; smaller gaps are heart border and hilum."""

BULGE_MM = 20.0
"""How far such a gap may reach beyond the hull toward the chest wall: the wall is round and the hull straight (a chord of 100 mm in a chest
of radius 120 mm lies 11 mm inside), and a mass may grow into it (a phantom's pleural mass of 77 mm: 10 mm hold 92 %, 20 mm 99.6 %)."""

RIM_MM = 6.0
"""The same for smaller gaps, where a nodule hides the chest wall (a phantom's pleural nodule of 22 mm: 87 % without, 100 % with it)."""

NOTCH_MM = 8.0
"""Vessels and notches up to twice this wide are lung."""

LOST_BACK_MM = 15.0
"""A lung that ends this much farther forward than above has lost its back to disease, as healthy lungs reach lowest behind ..."""

LOST_BACK_AREA = 0.5
"""... while it keeps this share of its area: the lowest tips of a healthy lung end farther forward too, but are small."""

CARRIED_MM = 30.0
"""How far above a lost back is looked for."""


def spanned_by_lungs(left: Array, right: Array, spacing: Spacing) -> Array:
    """What each lung, bool (slices, rows, columns), axial LPS, spans in its slices, and what bulges from there into the chest wall."""
    hulls = _lung_hulls(left, spacing) | _lung_hulls(right, spacing)
    lungs = left | right
    gaps = open_(hulls & ~close(lungs, NOTCH_MM, spacing, planar=True), GAP_RADIUS_MM, spacing, planar=True)
    bulges = dilate(hulls, RIM_MM, spacing, planar=True) | dilate(gaps, BULGE_MM, spacing, planar=True)
    chest_wall = ~_filled_hulls(lungs)
    return np.asarray(hulls | (bulges & chest_wall))


def _lung_hulls(lung: Array, spacing: Spacing) -> Array:
    """The hull of one lung in each slice, within 50 mm of it.

    Where the lung loses its back from one slice to those below, the back of the slices above is taken to go on down for 30 mm.
    """
    seeds = lung | _lost_back(lung, spacing)
    return np.asarray(_filled_hulls(seeds) & dilate(seeds, FARTHEST_MM, spacing, planar=True))


def _lost_back(lung: Array, spacing: Spacing) -> Array:
    """The back of the lung in the slices above, in those slices with lung where it is missing."""
    rows = lung.shape[1]
    present = np.asarray(lung.any(axis=2))
    backmost = np.where(present.any(axis=1), rows - 1 - present[:, ::-1].argmax(axis=1), -1)
    areas = lung.sum(axis=(1, 2))
    reach = round(CARRIED_MM / spacing[0])
    lost = np.zeros_like(lung)
    for index in np.flatnonzero(backmost >= 0):
        above = slice(index, index + reach + 1)
        expected = backmost[above].max()
        if (expected - backmost[index]) * spacing[1] > LOST_BACK_MM and areas[index] >= LOST_BACK_AREA * areas[
            above
        ].max():
            back = max(0, int(np.ceil(expected - LOST_BACK_MM / spacing[1])))
            lost[index, back:] = lung[above, back:].any(axis=0)
    return lost


def _filled_hulls(mask: Array) -> Array:
    """The convex hull of ``mask`` in each slice."""
    filled = np.array(mask)
    for plane in filled:
        _fill_hull(plane)
    return filled


def _fill_hull(plane: Array) -> None:
    """Fill the convex hull, through voxel centers, of a bool ``plane`` (rows, columns) in place."""
    rows = np.flatnonzero(plane.any(axis=1))
    if len(rows) == 0:
        return
    first = plane[rows].argmax(axis=1)
    last = plane.shape[1] - 1 - plane[rows, ::-1].argmax(axis=1)
    span = np.arange(rows[0], rows[-1] + 1)
    left = np.interp(span, *_lower_envelope(rows, first))
    right = -np.interp(span, *_lower_envelope(rows, -last))
    columns = np.arange(plane.shape[1])
    plane[span] = (columns >= left[:, None] - ROUNDING) & (columns <= right[:, None] + ROUNDING)


def _lower_envelope(x: Array, y: Array) -> tuple[list[float], list[float]]:
    """The corners of the lower convex envelope of points with ascending ``x`` (A. M. Andrew, 1979, doi:10.1016/0020-0190(79)90072-3)."""
    corners: list[tuple[float, float]] = []
    for point in zip(x.tolist(), y.tolist(), strict=True):
        while len(corners) > 1 and _turn(corners[-2], corners[-1], point) <= 0:
            corners.pop()
        corners.append(point)
    return [corner[0] for corner in corners], [corner[1] for corner in corners]


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Above 0 if the way from ``a`` over ``b`` to ``c`` turns toward larger y."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
