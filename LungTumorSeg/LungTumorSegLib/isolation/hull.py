"""Where lung is expected in each axial slice because lung lies around it: part of step 4 of lung isolation.

A mass, a collapse or fluid at the chest wall or on the diaphragm has lung on two or three sides. The convex hull of a lung's slice takes it
in where a closing, however large, does not (ibsi1_phantom's mass of 359 mL: closing by 20 mm 32 %, hull 90 %).
"""

from __future__ import annotations

import numpy as np

from ..ct import Array
from .morphology import ROUNDING, Spacing, dilate

LOST_BACK_MM = 15.0
"""A lung that ends this much farther forward than above has lost its back: healthy lungs reach lowest behind, so disease fills it there."""

CARRIED_MM = 30.0
"""How far above the lung's back is looked for."""

FARTHEST_MM = 35.0
"""The hull counts within this distance of lung: keeps the middle of a healthy diaphragm's dome out and that of a mass of 70 mm in."""


def lung_hulls(lung: Array, spacing: Spacing) -> Array:
    """The region that one ``lung``, bool (slices, rows, columns), axial LPS, spans in each slice; at most 35 mm from it.

    Where the lung loses its back from one slice to those below, the back of the slices above is taken to go on down for 30 mm.
    """
    seeds = lung | _lost_back(lung, spacing)
    spanned = seeds.copy()
    for plane in spanned:
        _fill_hull(plane)
    return np.asarray(spanned & dilate(seeds, FARTHEST_MM, spacing, planar=True))


def _lost_back(lung: Array, spacing: Spacing) -> Array:
    """The back of the lung in the slices above, in those slices with lung where it is missing."""
    rows = lung.shape[1]
    present = np.asarray(lung.any(axis=2))
    backmost = np.where(present.any(axis=1), rows - 1 - present[:, ::-1].argmax(axis=1), -1)
    reach = round(CARRIED_MM / spacing[0])
    lost = np.zeros_like(lung)
    for index in np.flatnonzero(backmost >= 0):
        above = slice(index, index + reach + 1)
        expected = backmost[above].max()
        if (expected - backmost[index]) * spacing[1] > LOST_BACK_MM:
            back = max(0, int(np.ceil(expected - LOST_BACK_MM / spacing[1])))
            lost[index, back:] = lung[above, back:].any(axis=0)
    return lost


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
