"""The spine axis, with one point per slice, about which the lungs are mirrored: step 3 of lung isolation.

The published method (S. Primakov et al., Nature Communications 13, 3423, 2022, doi:10.1038/s41467-022-30841-3) projects
the lung-window image of each slice onto the coronal plane. It filters the profile with a seventh-order moving average
and takes the peak x_t as the spine. It starts with S0, the mean over the first five slices with lung, and smooths the
result: S_t = a x_t + (1 - a) S_(t-1), with a = 0.3.

A literal implementation fails on real CTs, because heart, liver, shoulders and spine are equally white in a lung
window. On lung1_001, the peak lies 11 mm (median) and up to 113 mm from the spinal cord: on the heart in the middle,
and on a shoulder at the top. In lidc_0003 and cip_ct64, it ends on a shoulder too.

This module keeps the projection, the filter, the start and the smoothing, and changes three things:

* It projects bone, and above all what bone encloses, in the back of the body: the spinal canal and the marrow of
  vertebrae.
* Instead of the peak of each slice, x_t is the best path through the profiles of all slices. The path may bend with
  scoliosis, but cannot jump to a shoulder blade.
* The smoothing runs upward and downward, because one direction alone lags by 2.3 slices.

On lung1_001, the axis lies 1.7 mm (median) and at most 4.5 mm from the cord.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import ndimage

from ..core.volume import HU, Array, Geometry, Mask, Volume
from .morphology import Spacing, close, holes, label_components

BONE_HU = 150
"""HU above which a voxel is bone, or contrast medium.

Trabecular bone begins at about 100 HU; cortical bone lies above 300 HU.
"""

BACK_SHARE = 0.4
"""Share of the body's depth, from the back, in which the spine is searched.

The spinal canal lies at 0.15 to 0.25. Most of the aorta, which contrast medium makes as bright as bone, lies before
0.35.
"""

USUAL_DEPTH = 0.25
"""Share of the body's depth, from the back, at which the spine is placed if no bone is visible."""

GAP_MM = 4.0
"""Radius (mm) of the closing that completes the bony ring around the canal where vessels and nerves leave it."""

HOLE_AREA_MM2 = (60.0, 1500.0)
"""Smallest and largest cross-section of what bone encloses, mm2.

A spinal canal has 150 to 350 mm2, and the marrow of a vertebral body up to 1500 mm2.
"""

CANAL_HU = (-30, 75)
"""Range of the mean HU of a spinal canal (cord, fluid, fat); marrow is denser and counts half."""

FILTER_POINTS = 7
"""Length of the moving average in columns of the coarse grid, about 14 mm (the paper's seventh order)."""

START_SLICES = 5
"""Number of slices with lung whose mean is S0 (the paper's n)."""

SMOOTHING = 0.3
"""Weight a of a slice's own point (the paper's alpha)."""

MARROW_SHARE, BONE_SHARE, MIDLINE_SHARE = 0.5, 0.1, 0.1
"""Evidence of marrow, of plain bone and of a central position in the body, relative to that of a canal.

The values were chosen on lung1_001.
"""

CANAL_DEPTH_MM = 15.0
"""Sagittal diameter of a thoracic spinal canal, mm, by which the height of the projected canal is divided.

The evidence of a canal is therefore about 1.
"""

STEP_COST_PER_MM = 0.05
"""Evidence that a sideways step costs, per mm.

It keeps the path straight where no spine is visible. On phantoms with scoliosis, 0.05 gave the best result.
"""

MIDLINE_MM = 100.0
"""Distance from the middle of the body at which the evidence of a central position is 0, mm."""

STEEPEST = 1.0
"""Largest sideways step of the axis per step along z: 45 degrees, more than in a severe scoliosis over one slice."""

SEEN_EVIDENCE = 0.15
"""Mean evidence along the path from which a spine is visible.

CTs that show a spine have 0.32 to 0.97; a coarse grid and the lung bases in an abdominal CT have the least. Halves of a
chest without the spine have 0.05 to 0.11.
"""

CLEAR_EVIDENCE = 0.6
"""Mean evidence from which the spine is not searched elsewhere."""

FRONT_SHARE = 2.0
"""Ratio of the evidence in front to that at the back from which the spine lies in front.

In lidc_0001 turned to a prone position, the evidence is 0.94 in front and 0.32 at the back. Contrast medium in the
heart and the sternum reach 0.35 in front while the back has 0.92.
"""

COLUMN_DECIMALS = 6
"""Number of decimals of the columns of the axis.

A voxel may lie exactly on the axis, or its mirror image exactly between two columns. The last digits of an affine must
not decide there. In 4dlung_113 as NIfTI and as DICOM, this concerned 374 voxels of the mask, 0.4% of a tumor's volume.
"""


@dataclass(frozen=True, eq=False)
class SpineAxis:
    """The spine axis, with one point on each axial slice.

    Attributes:
        points_lps: The points, shape (n, 3), LPS (x, y, z) in mm, in the order of the slices.
        seen: Where the spine was found: at the "back" of the body, as it should be; at its "front", if the header
            states a wrong position of the patient; or "nowhere", in which case the axis is the middle of the body.
    """

    points_lps: Array
    seen: Literal["back", "front", "nowhere"] = "back"

    def on(self, grid: Geometry) -> SpineAxis:
        """Return the axis with one point per slice of another grid.

        Args:
            grid: A grid in axial LPS order, with slices parallel to the present ones. The ends of the axis continue
                straight.
        """
        index = grid.lps_to_index(self.points_lps)
        slices = np.arange(grid.shape[0])
        columns = [np.interp(slices, index[:, 0], index[:, axis]) for axis in (1, 2)]
        return replace(self, points_lps=grid.index_to_lps(np.stack([slices, *columns], axis=1)))

    def magnified(self, by: float) -> SpineAxis:
        """Return the axis with all lengths multiplied, about the origin of LPS."""
        return replace(self, points_lps=self.points_lps * by)

    def columns(self, grid: Geometry) -> Array:
        """Return the fractional column of the axis on each slice of ``grid``, shape (slices,)."""
        return np.asarray(grid.lps_to_index(self.on(grid).points_lps)[:, 2].round(COLUMN_DECIMALS))


def find_spine_axis(ct: Volume, body: Volume, lungs: Volume) -> SpineAxis:
    """Find the spine axis.

    Below the first and above the last slice with lung, the axis continues straight. Without any lung, all slices count.

    Args:
        ct: The CT (HU, axial LPS).
        body: The body (bool) on the same grid.
        lungs: The lungs (bool) on the same grid.

    Returns:
        The axis, with one point on each slice of the CT.
    """
    with_lung = lungs.array.any(axis=(1, 2))
    slices = np.flatnonzero(with_lung) if with_lung.any() else np.arange(ct.shape[0])
    first, last = int(slices[0]), int(slices[-1])
    hu, inside = ct.array[first : last + 1], body.array[first : last + 1]
    columns, rows, evidence = _traced(hu, inside, ct.spacing)
    seen: Literal["back", "front", "nowhere"] = "back" if evidence >= SEEN_EVIDENCE else "nowhere"
    if evidence < CLEAR_EVIDENCE:
        turned_columns, turned_rows, in_front = _traced(hu[:, ::-1], inside[:, ::-1], ct.spacing)
        if in_front >= max(FRONT_SHARE * evidence, 2 * SEEN_EVIDENCE):
            columns, rows, seen = turned_columns, ct.shape[1] - 1 - turned_rows, "front"
    nearest = np.clip(np.arange(ct.shape[0]), first, last) - first
    points = np.stack([np.arange(ct.shape[0]), _smoothed(rows)[nearest], _smoothed(columns)[nearest]], axis=1)
    return SpineAxis(ct.index_to_lps(points), seen)


def _traced(hu: HU, body: Mask, spacing: Spacing) -> tuple[Array, Array, float]:
    """Trace the spine through all slices.

    Args:
        hu: The CT (slices, rows, columns), in which rows increase toward the side on which the spine is searched.
        body: The body, bool of the same shape.
        spacing: The spacing (slice, row, column), mm.

    Returns:
        Column and row of the spine in each slice, both of shape (slices,), and the mean evidence along this path.
    """
    found = [_projection(image, inside, spacing) for image, inside in zip(hu, body, strict=True)]
    profiles, rows = (np.array(part) for part in zip(*found, strict=True))
    path = _best_path(profiles + MIDLINE_SHARE * _midline(body, spacing), spacing)
    slices = np.arange(len(path))
    return path.astype(float), rows[slices, path], float(profiles[slices, path].mean())


def _projection(image: HU, body: Mask, spacing: Spacing) -> tuple[Array, Array]:
    """Project the evidence for the spine in a slice onto its columns.

    Returns:
        The evidence in each column (at most about 1), and the row of the spine there; both of shape (columns,).
    """
    body_rows = np.flatnonzero(body.any(axis=1))
    front, back = (int(body_rows[0]), int(body_rows[-1])) if len(body_rows) else (0, image.shape[0] - 1)
    bone = body & (image > BONE_HU)
    bone[: round(back - BACK_SHARE * (back - front))] = False
    evidence = _enclosed_by_bone(bone, image, spacing)
    amount = evidence.sum(axis=0)
    usual = np.full(amount.shape, back - USUAL_DEPTH * (back - front))
    rows = np.divide(np.arange(image.shape[0]) @ evidence, amount, out=usual, where=amount > 0)
    profile = ndimage.uniform_filter1d(amount, FILTER_POINTS, mode="constant")
    return profile * spacing[1] / CANAL_DEPTH_MM, rows


def _enclosed_by_bone(bone: Mask, image: HU, spacing: Spacing) -> Array:
    """Return the evidence for the spine in each voxel: 1 in a canal, less in marrow and bone, 0 elsewhere."""
    ring = close(bone[None], GAP_MM, spacing, planar=True)[0]
    evidence = np.where(ring, BONE_SHARE, 0.0)
    labels, count = label_components(holes(ring))
    for label in range(1, count + 1):
        hole = labels == label
        if HOLE_AREA_MM2[0] <= hole.sum() * spacing[1] * spacing[2] <= HOLE_AREA_MM2[1]:
            evidence[hole] = 1.0 if CANAL_HU[0] <= image[hole].mean() <= CANAL_HU[1] else MARROW_SHARE
    return evidence


def _midline(body: Mask, spacing: Spacing) -> Array:
    """Return the evidence of a central position in each slice, shape (slices, columns).

    It is 1 in the middle column of the body and falls to 0 over 100 mm.
    """
    columns = np.arange(body.shape[2])
    occupied = np.asarray(body.any(axis=1))
    middle = np.array([columns[plane].mean() if plane.any() else body.shape[2] / 2 for plane in occupied])
    return np.asarray(np.clip(1 - np.abs(columns - middle[:, None]) * spacing[2] / MIDLINE_MM, 0, None))


def _best_path(profiles: Array, spacing: Spacing) -> Array:
    """Find the path of greatest evidence through ``profiles`` (slices, columns).

    This is dynamic programming (R. Bellman, 1957): the best path to each column of a slice continues the best path to a
    column of the slice before.

    Returns:
        The column in each slice, shape (slices,).
    """
    slices, columns = profiles.shape
    reach = int(np.ceil(STEEPEST * spacing[0] / spacing[2]))
    cost = STEP_COST_PER_MM * spacing[2] * np.abs(np.arange(-reach, reach + 1))[:, None]
    total = profiles[0].copy()
    came_from = np.empty((slices, columns), int)
    for index in range(1, slices):
        padded = np.pad(total, reach, constant_values=-np.inf)
        steps = np.stack([padded[shift : shift + columns] for shift in range(2 * reach + 1)])
        steps -= cost
        best = steps.argmax(axis=0)
        came_from[index] = np.arange(columns) + best - reach
        total = steps[best, np.arange(columns)] + profiles[index]
    path = np.empty(slices, int)
    path[-1] = total.argmax()
    for index in range(slices - 1, 0, -1):
        path[index - 1] = came_from[index, path[index]]
    return path


def _smoothed(values: Array) -> Array:
    """Smooth ``values`` of shape (n,) exponentially in both directions, and return the mean.

    Either direction alone lags by (1 - a) / a slices.
    """
    return np.asarray((smooth_exponentially(values) + smooth_exponentially(values[::-1])[::-1]) / 2)


def smooth_exponentially(values: Array) -> Array:
    """Compute S_t = a x_t + (1 - a) S_(t-1) along ``values`` (n,), starting with the mean of the first five."""
    smooth = np.empty(len(values))
    state = float(values[:START_SLICES].mean())
    for index, value in enumerate(values):
        state = SMOOTHING * float(value) + (1 - SMOOTHING) * state
        smooth[index] = state
    return smooth
