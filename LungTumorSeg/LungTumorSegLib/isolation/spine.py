"""The spine axis, one point a slice, about which the lungs are mirrored: step 3 of lung isolation.

The method described with this pipeline projects the lung-window image of each slice onto the coronal plane, filters the profile with a
seventh-order moving average, takes its peak x_t as the spine, starts with S0, the mean over the first five slices with lung, and smooths:
S_t = a x_t + (1 - a) S_(t-1), a = 0.3 (S. Primakov et al., Nature Communications 13, 3423, 2022, doi:10.1038/s41467-022-30841-3).

Read literally it fails on real CT, because in a lung window heart, liver, shoulders and spine are equally white. On lung1_001 the peak
lies 11 mm (median) and up to 113 mm from the spinal cord: on the heart in the middle, on a shoulder at the top; lidc_0003 and cip_ct64
end on a shoulder too. Kept are projection, filter, start and smoothing. Changed are three things. What is projected is bone, and above all
what bone encloses, in the back of the body: the spinal canal, the marrow of a vertebra. x_t is not each slice's own peak but the best path
through all slices' profiles, which may bend with scoliosis but not jump to a shoulder blade. And the smoothing runs up and down, as one
way alone lags by 2.3 slices. On lung1_001 the axis lies 1.7 mm (median) and at most 4.5 mm from the cord.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import ndimage

from ..core.volume import Array, Geometry, Volume
from .morphology import Spacing, close

BONE_HU = 150
"""Above it a voxel is bone (or contrast medium), HU; trabecular bone begins at about 100, cortical bone lies above 300."""

BACK_SHARE = 0.4
"""Share of the body's depth, from the back, in which the spine is looked for: a canal lies at 0.15 to 0.25, most of an aorta, which
contrast medium makes as bright as bone, before 0.35."""

USUAL_DEPTH = 0.25
"""Share of the body's depth, from the back, at which the spine is put where no bone is seen."""

GAP_MM = 4.0
"""Radius of the closing that completes the bony ring around the canal where vessels and nerves leave it."""

HOLE_AREA_MM2 = (60.0, 1500.0)
"""Cross-section of what bone encloses: a spinal canal has 150 to 350 mm2, the marrow of a vertebral body up to 1500 mm2."""

CANAL_HU = (-30, 75)
"""Mean HU of a spinal canal (cord, fluid, fat); marrow is denser and counts half."""

FILTER_POINTS = 7
"""Length of the moving average, columns of the coarse grid, so about 14 mm (the paper's seventh order)."""

START_SLICES = 5
"""Slices with lung whose mean is S0 (the paper's n)."""

SMOOTHING = 0.3
"""Weight a of a slice's own point (the paper's alpha)."""

MARROW_SHARE, BONE_SHARE, MIDLINE_SHARE = 0.5, 0.1, 0.1
"""Evidence of marrow, of plain bone and of lying in the middle of the body, relative to that of a canal; chosen on lung1_001."""

CANAL_DEPTH_MM = 15.0
"""Sagittal diameter of a thoracic spinal canal: counted rows of it become evidence of about 1."""

STEP_COST_PER_MM = 0.05
"""Evidence that a sideways step costs: keeps the path straight where nothing is seen; on phantoms with scoliosis 0.05 serves best."""

MIDLINE_MM = 100.0
"""Distance from the middle of the body at which that evidence is gone."""

STEEPEST = 1.0
"""Largest sideways step of the axis per step along z: 45 degrees, more than a severe scoliosis has over one slice."""

SEEN_EVIDENCE = 0.15
"""Mean evidence along the path from which on a spine is seen: 0.32 to 0.97 in CTs that show one (a coarse grid and the lung bases in an
abdomen have the least), 0.05 to 0.11 in halves of a chest that show none."""

CLEAR_EVIDENCE = 0.6
"""Mean evidence at which nobody needs to look for the spine elsewhere."""

FRONT_SHARE = 2.0
"""The spine lies in front where it has this many times the evidence there: 0.94 to 0.32 in lidc_0001 turned on its face; contrast medium in
the heart and the sternum reach 0.35 where the back has 0.92."""

COLUMN_DECIMALS = 6
"""A voxel may lie just on the axis, or its mirror image just between two columns: the last digits of an affine must not decide where
(4dlung_113 as NIfTI and as DICOM: 374 voxels of the mask, 0.4 % of a tumor's volume)."""


@dataclass(frozen=True, eq=False)
class SpineAxis:
    """One point on each axial slice, and where the spine was seen.

    ``points_lps``: shape (n, 3), LPS (x, y, z) in mm, in the order of the slices. ``seen``: at the back of the body, as it should be; at
    its front, where the header is wrong about how the patient lay; or nowhere, and then the axis is the middle of the body.
    """

    points_lps: Array
    seen: Literal["back", "front", "nowhere"] = "back"

    def on(self, grid: Geometry) -> SpineAxis:
        """The axis with one point a slice of ``grid`` (axial LPS, slices parallel to the present ones); its ends go on straight."""
        index = grid.lps_to_index(self.points_lps)
        slices = np.arange(grid.shape[0])
        columns = [np.interp(slices, index[:, 0], index[:, axis]) for axis in (1, 2)]
        return replace(self, points_lps=grid.index_to_lps(np.stack([slices, *columns], axis=1)))

    def columns(self, grid: Geometry) -> Array:
        """Column, with fraction, of the axis on each slice of ``grid``, shape (slices,)."""
        return np.asarray(grid.lps_to_index(self.on(grid).points_lps)[:, 2].round(COLUMN_DECIMALS))


def find_spine_axis(ct: Volume, body: Volume, lungs: Volume) -> SpineAxis:
    """Find the axis on each slice of ``ct`` (axial LPS, HU); ``body`` and ``lungs`` are masks on the same grid.

    Below the first and above the last slice with lung it goes on straight. Without any lung all slices count.
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


def _traced(hu: Array, body: Array, spacing: Spacing) -> tuple[Array, Array, float]:
    """Column and row of the spine in each slice, both of shape (slices,), and the mean evidence along this path.

    ``hu`` and ``body`` have the shape (slices, rows, columns); rows run toward where the spine is looked for.
    """
    found = [_projection(image, inside, spacing) for image, inside in zip(hu, body, strict=True)]
    profiles, rows = (np.array(part) for part in zip(*found, strict=True))
    path = _best_path(profiles + MIDLINE_SHARE * _midline(body, spacing), spacing)
    slices = np.arange(len(path))
    return path.astype(float), rows[slices, path], float(profiles[slices, path].mean())


def _projection(image: Array, body: Array, spacing: Spacing) -> tuple[Array, Array]:
    """Evidence for the spine in each column of a slice (at most about 1) and the row of the spine there; both of shape (columns,)."""
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


def _enclosed_by_bone(bone: Array, image: Array, spacing: Spacing) -> Array:
    """Evidence for the spine in each voxel of a slice: 1 in a canal, less in marrow and bone, 0 elsewhere."""
    ring = close(bone[None], GAP_MM, spacing, planar=True)[0]
    evidence = np.where(ring, BONE_SHARE, 0.0)
    labels, count = ndimage.label(ndimage.binary_fill_holes(ring) & ~ring)
    for label in range(1, count + 1):
        hole = labels == label
        if HOLE_AREA_MM2[0] <= hole.sum() * spacing[1] * spacing[2] <= HOLE_AREA_MM2[1]:
            evidence[hole] = 1.0 if CANAL_HU[0] <= image[hole].mean() <= CANAL_HU[1] else MARROW_SHARE
    return evidence


def _midline(body: Array, spacing: Spacing) -> Array:
    """1 in the middle column of the body in each slice, falling to 0 over 100 mm, shape (slices, columns)."""
    columns = np.arange(body.shape[2])
    occupied = np.asarray(body.any(axis=1))
    middle = np.array([columns[plane].mean() if plane.any() else body.shape[2] / 2 for plane in occupied])
    return np.asarray(np.clip(1 - np.abs(columns - middle[:, None]) * spacing[2] / MIDLINE_MM, 0, None))


def _best_path(profiles: Array, spacing: Spacing) -> Array:
    """The column in each slice, shape (slices,), of the path of greatest evidence through ``profiles`` (slices, columns).

    Dynamic programming (R. Bellman, 1957): the best path to each column of a slice goes on from the best path to one of the slice before.
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
    """The mean of two exponential smoothings of ``values``, shape (n,), one up and one down: either alone lags by (1 - a) / a slices."""
    return np.asarray((_exponential(values) + _exponential(values[::-1])[::-1]) / 2)


def _exponential(values: Array) -> Array:
    """S_t = a x_t + (1 - a) S_(t-1) along ``values``, shape (n,), begun with the mean of the first five."""
    smooth = np.empty(len(values))
    state = float(values[:START_SLICES].mean())
    for index, value in enumerate(values):
        state = SMOOTHING * float(value) + (1 - SMOOTHING) * state
        smooth[index] = state
    return smooth
