"""The tissue that each lung spans in its axial slices: part of step 4 of lung isolation.

A mass, atelectasis, consolidation or pleural effusion at the chest wall or on the diaphragm has lung on two or three
sides. The convex hull of the lung in the slice includes it where a closing does not. Of ibsi1_phantom's mass of 359 mL,
a closing by 20 mm includes 32%, the hull 90%, and the hull with back and bulge 100%.
"""

from __future__ import annotations

import numpy as np

from ..core.threads import run_both
from ..core.volume import Array, Mask
from .morphology import ROUNDING, Spacing, close, dilate, open_

FARTHEST_MM = 50.0
"""Distance from the lung within which its hull counts, mm.

This includes a mass of 100 mm and excludes the middle of a wide diaphragm.
"""

GAP_RADIUS_MM = 8.0
"""Radius of a disk that fits into a gap between hull and lung if disease fills the gap, mm.

Smaller gaps are the border of the heart and the hilum.
"""

BULGE_MM = 20.0
"""Distance by which such a gap may extend beyond the hull toward the chest wall, mm.

The chest wall is round and the hull is straight: a chord of 100 mm in a chest of radius 120 mm lies 11 mm inside. A
mass may also grow into the wall. Of a pleural mass of 77 mm in a phantom, 10 mm include 92% and 20 mm include 99.6%.
"""

RIM_MM = 6.0
"""Distance by which the region extends beyond the hull at smaller gaps, mm, where a nodule may hide the chest wall.

Of a pleural nodule of 22 mm in a phantom, 87% are included without this distance and 100% with it.
"""

NOTCH_MM = 8.0
"""Half the width up to which vessels and notches belong to the lung, mm."""

LOST_BACK_MM = 15.0
"""Distance by which a lung ends farther forward than above if it has lost its back to disease, mm.

Healthy lungs reach lowest at the back.
"""

LOST_BACK_AREA = 0.5
"""Share of its area above that such a lung keeps.

The lowest tips of a healthy lung also end farther forward, but they are small.
"""

QUICK_ROUNDS = 2
"""Number of passes over all points of a border at once; they leave few points for the exact algorithm."""

CARRIED_MM = 30.0
"""Distance above a slice within which the back of its lung is searched, mm."""


def spanned_by_lungs(left: Mask, right: Mask, spacing: Spacing) -> Mask:
    """Return what each lung spans in its slices, and what bulges from there into the chest wall.

    Args:
        left: The left lung, bool (slices, rows, columns), axial LPS.
        right: The right lung, likewise.
        spacing: The spacing (slice, row, column), mm.
    """
    hulls = np.logical_or(*run_both(lambda: _lung_hulls(left, spacing), lambda: _lung_hulls(right, spacing)))
    lungs = left | right
    gaps = open_(hulls & ~close(lungs, NOTCH_MM, spacing, planar=True), GAP_RADIUS_MM, spacing, planar=True)
    bulges = dilate(hulls, RIM_MM, spacing, planar=True) | dilate(gaps, BULGE_MM, spacing, planar=True)
    chest_wall = ~filled_hulls(lungs)
    return np.asarray(hulls | (bulges & chest_wall))


def _lung_hulls(lung: Mask, spacing: Spacing) -> Mask:
    """Return the hull of one lung in each slice, within 50 mm of the lung.

    If the lung loses its back from one slice to those below, the back of the slices above is assumed to continue
    downward for 30 mm.
    """
    seeds = lung | _lost_back(lung, spacing)
    return np.asarray(filled_hulls(seeds) & dilate(seeds, FARTHEST_MM, spacing, planar=True))


def _lost_back(lung: Mask, spacing: Spacing) -> Mask:
    """Return the back of the lung in the slices above, for the slices with lung in which it is missing."""
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


def filled_hulls(mask: Mask) -> Mask:
    """Return a mask (slice, row, column) with the convex hull of its voxel centers filled in each slice."""
    filled = np.array(mask)
    for plane in filled:
        _fill_hull(plane)
    return filled


def _fill_hull(plane: Mask) -> None:
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
    """Return the corners of the lower convex envelope of points with ascending ``x``.

    References:
        A. M. Andrew, 1979, doi:10.1016/0020-0190(79)90072-3.
    """
    for _ in range(QUICK_ROUNDS):  # what lies on or above the line between its neighbors is no corner
        run, rise = np.diff(x), np.diff(y)
        below = run[:-1] * (rise[:-1] + rise[1:]) > rise[:-1] * (run[:-1] + run[1:])
        kept = np.concatenate([[True], below, [True]]) if len(x) > 1 else np.ones(len(x), bool)
        x, y = x[kept], y[kept]
    corners: list[tuple[float, float]] = []
    for point in zip(x.tolist(), y.tolist(), strict=True):
        while len(corners) > 1:
            (x0, y0), (x1, y1) = corners[-2], corners[-1]
            if (x1 - x0) * (point[1] - y0) > (y1 - y0) * (point[0] - x0):  # a turn toward larger y
                break
            corners.pop()
        corners.append(point)
    return [corner[0] for corner in corners], [corner[1] for corner in corners]
