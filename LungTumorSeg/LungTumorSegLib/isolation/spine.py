"""The spine axis, one point a slice, about which the lungs are mirrored: step 3 of lung isolation.

The method described with this pipeline projects the lung-window image of each slice onto the coronal plane, filters the profile with a
seventh-order moving average, takes its peak x_t as the spine, starts with S0, the mean over the first five slices with lung, and smooths:
S_t = a x_t + (1 - a) S_(t-1), a = 0.3 (S. Primakov et al., Nature Communications 13, 3423, 2022, doi:10.1038/s41467-022-30841-3).

Read literally it fails on real CT, because in a lung window heart, liver, shoulders and spine are equally white. On lung1_001 the peak
lies 11 mm
(median) and up to 113 mm from the spinal cord: on the heart in the middle, on a shoulder at the top; 4dlung_113, lidc_0003 and cip_ct64
end on a shoulder too. Kept are projection, filter, start and smoothing. Changed are two things: what is projected is bone and above
all what
bone encloses behind the middle of the body (the spinal canal, the marrow of a vertebra), and x_t is not each slice's own peak but the best
path through all slices' profiles, which may bend with scoliosis but not jump to a shoulder blade.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..ct import Array, Volume, _Geometry
from .morphology import close

BONE_HU = 150
"""Above it a voxel is bone (or contrast medium), HU; trabecular bone begins at about 100, cortical bone lies above 300."""

GAP_MM = 4.0
"""Radius of the closing that completes the bony ring around the canal where vessels and nerves leave it."""

HOLE_AREA_MM2 = (60.0, 1500.0)
"""Cross-section of what bone encloses: a spinal canal has 150 to 350 mm2, the marrow of a vertebral body up to 1500 mm2."""

CANAL_HU = (-30, 75)
"""Mean HU of a spinal canal (cord, fluid, fat); marrow is denser and counts half."""

FILTER_POINTS = 7
"""Length of the moving average, columns (the paper's seventh order)."""

START_SLICES = 5
"""Slices with lung whose mean is S0 (the paper's n)."""

SMOOTHING = 0.3
"""Weight a of a slice's own point (the paper's alpha)."""

MARROW_SHARE, BONE_SHARE, MIDLINE_SHARE = 0.5, 0.1, 0.1
"""Evidence of marrow, of plain bone and of lying midway between the lungs, relative to that of a canal; chosen on the CT named above."""

STEEPEST = 1.0
"""Largest sideways step of the axis per step along z: 45 degrees, more than a severe scoliosis has over one slice."""


@dataclass(frozen=True, eq=False)
class SpineAxis:
    """``points_lps``: shape (n, 3), one LPS point (x, y, z) in mm on each axial slice, in the order of the slices."""

    points_lps: Array

    def on(self, grid: _Geometry) -> SpineAxis:
        """The axis with one point a slice of ``grid``, whose slices are parallel to the present ones; ends are continued straight up."""
        index = grid.lps_to_index(self.points_lps)
        slices = np.arange(grid.shape[0])
        columns = [np.interp(slices, index[:, 0], index[:, axis]) for axis in (1, 2)]
        return SpineAxis(grid.index_to_lps(np.stack([slices, *columns], axis=1)))

    def columns(self, grid: _Geometry) -> Array:
        """Column, with fraction, of the axis on each slice of ``grid``, shape (slices,)."""
        return np.asarray(grid.lps_to_index(self.on(grid).points_lps)[:, 2])


def find_spine_axis(ct: Volume, body: Volume, lungs: Volume) -> SpineAxis:
    """The axis on each slice of ``ct`` (axial LPS, HU); ``body`` and ``lungs`` are masks on the same grid, ``lungs`` not empty.

    Below the first and above the last slice with lung it goes on straight.
    """
    slices = np.flatnonzero(lungs.array.any(axis=(1, 2)))
    first, last = int(slices[0]), int(slices[-1])
    profiles = np.empty((last - first + 1, ct.shape[2]))
    rows = np.empty_like(profiles)
    for position, index in enumerate(range(first, last + 1)):
        profiles[position], rows[position] = _projection(ct.array[index], body.array[index], ct.spacing)
    profiles += MIDLINE_SHARE * _midline(body.array[first : last + 1], ct.spacing)
    path = _best_path(profiles, int(np.ceil(STEEPEST * ct.spacing[0] / ct.spacing[2])))
    smooth_columns = _smoothed(path.astype(float))
    smooth_rows = _smoothed(rows[np.arange(len(path)), path])
    inside = np.clip(np.arange(ct.shape[0]), first, last) - first
    return SpineAxis(ct.index_to_lps(np.stack([np.arange(ct.shape[0]), smooth_rows[inside], smooth_columns[inside]], axis=1)))


def _projection(image: Array, body: Array, spacing: tuple[float, float, float]) -> tuple[Array, Array]:
    """Evidence for the spine in each column of a slice (at most about 1) and the row of the spine there; both of shape (columns,)."""
    occupied = np.flatnonzero(body.any(axis=1))
    evidence = np.zeros(image.shape)
    if len(occupied):
        middle = (occupied[0] + occupied[-1]) // 2
        bone = body & (image > BONE_HU)
        bone[:middle] = False
        ring = close(bone[None], GAP_MM, spacing, planar=True)[0]
        evidence[ring] = BONE_SHARE
        labels, count = ndimage.label(ndimage.binary_fill_holes(ring) & ~ring)
        for label in range(1, count + 1):
            hole = labels == label
            if HOLE_AREA_MM2[0] <= hole.sum() * spacing[1] * spacing[2] <= HOLE_AREA_MM2[1]:
                evidence[hole] = 1.0 if CANAL_HU[0] <= image[hole].mean() <= CANAL_HU[1] else MARROW_SHARE
    profile = ndimage.uniform_filter1d(evidence.sum(axis=0), FILTER_POINTS, mode="constant")
    depth = np.arange(image.shape[0])[:, None]
    weight = evidence + 1e-6 * (depth == int(occupied[-1] * 0.75 + occupied[0] * 0.25) if len(occupied) else depth == 0)
    row = (weight * depth).sum(axis=0) / weight.sum(axis=0)
    return profile * spacing[1] / CANAL_DEPTH_MM, row


CANAL_DEPTH_MM = 15.0
"""Sagittal diameter of a thoracic spinal canal; turns counted rows into evidence of about 1."""


def _midline(body: Array, spacing: tuple[float, float, float]) -> Array:
    """1 in the middle column of the body in each slice, falling to 0 over 100 mm, shape (slices, columns)."""
    columns = np.arange(body.shape[2])
    occupied = np.asarray(body.any(axis=1))
    middle = np.array([columns[plane].mean() if plane.any() else body.shape[2] / 2 for plane in occupied])
    return np.asarray(np.clip(1 - np.abs(columns - middle[:, None]) * spacing[2] / 100.0, 0, None))


def _best_path(profiles: Array, reach: int) -> Array:
    """The column in each slice, shape (slices,), of the path of greatest evidence whose steps are at most ``reach`` columns."""
    slices, columns = profiles.shape
    total = profiles[0].copy()
    came_from = np.empty((slices, columns), int)
    for index in range(1, slices):
        padded = np.pad(total, reach, constant_values=-np.inf)
        steps = np.stack([padded[shift : shift + columns] for shift in range(2 * reach + 1)])
        steps -= STEP_COST * np.abs(np.arange(-reach, reach + 1))[:, None]
        best = steps.argmax(axis=0)
        came_from[index] = np.arange(columns) + best - reach
        total = steps[best, np.arange(columns)] + profiles[index]
    path = np.empty(slices, int)
    path[-1] = total.argmax()
    for index in range(slices - 1, 0, -1):
        path[index - 1] = came_from[index, path[index]]
    return path


STEP_COST = 0.3
"""Evidence that one column of sideways step costs: keeps the path straight where nothing is seen."""


def _smoothed(values: Array) -> Array:
    """S_t = a x_t + (1 - a) S_(t-1) along ``values``, shape (n,), begun with the mean of the first five."""
    smooth = np.empty(len(values))
    state = float(values[:START_SLICES].mean())
    for index, value in enumerate(values):
        state = SMOOTHING * float(value) + (1 - SMOOTHING) * state
        smooth[index] = state
    return smooth
