"""The coarse grid on which two CTs are registered: the lungs, and the HU inside them, at about 3 mm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.boxes import bounding_box
from ..core.components import CONNECTIVITY
from ..core.resampling import resample_separable
from ..core.volume import AIR_HU, HU, Array, CTVolume, Geometry, Grid, Mask, Volume, as_point, as_shape

SPACING_MM = 3.0
"""Spacing of the registration's grid, mm: vessels of the lung remain visible, and a chest has a million voxels."""

AROUND_LUNGS_MM = 30.0
"""Width of the surroundings of the lungs on the grid, mm; it must hold the displacement of a breath."""

BRIGHTEST_HU = 0.0
"""HU at and above which the inside of the lungs looks alike: vessels with and without contrast agent."""

LOWEST_NORMAL_HU, HIGHEST_NORMAL_HU = -950.0, -500.0
"""Range of HU in which the density of the lung's parenchyma is looked up."""


@dataclass(frozen=True, eq=False)
class LungGrid:
    """The lungs of one examination on an isotropic grid with canonical LPS axes.

    Attributes:
        lungs: Both lungs with their lesions, filled (bool).
        density: Share from 0 (parenchyma) to 1 (vessel, lesion) inside the lungs, 1 outside; None without a CT.
        lesions: The lesions with a margin of one voxel (bool); None for none.
    """

    lungs: Volume
    density: Volume | None
    lesions: Volume | None = None


def lung_grid(lungs: Volume, ct: CTVolume | None, lesions: Iterable[Volume] = ()) -> LungGrid:
    """Resample the lungs, and the CT inside them, to the coarse grid.

    The density is normalized by the parenchyma's own HU, so that a deeper breath, which makes the lung darker without
    moving any mass out of it, does not look like a difference.

    Args:
        lungs: Both lungs with their lesions (bool), in any orientation, with at least one voxel.
        ct: The CT (HU) on the same grid; None if it is not available.
        lesions: Masks of the lesions (bool), of any box and orientation.
    """
    order = lungs.canonical_axes()
    mask = order.apply(lungs)
    grid = _coarse_grid(mask)
    coarse = _resampled(mask.with_array(mask.array.astype(np.uint8)), grid) >= 0.5
    coarse = ndimage.binary_closing(np.pad(coarse, 3), iterations=2)[3:-3, 3:-3, 3:-3]
    coarse = np.stack([ndimage.binary_fill_holes(plane) for plane in coarse])
    inside = Volume(coarse, grid.affine)
    places = inside.with_array(_with_margin(lesions, inside))
    if ct is None:
        return LungGrid(inside, None, places)
    hu = _resampled(order.apply(ct), grid, outside=AIR_HU)
    return LungGrid(inside, inside.with_array(_density(hu, coarse)), places)


def _with_margin(lesions: Iterable[Volume], grid: Geometry) -> Mask:
    """Return the voxels of a grid (bool) in which lesions lie, however small, or that touch such a voxel."""
    found = np.zeros(grid.shape, dtype=bool)
    for lesion in lesions:
        points = lesion.index_to_lps(np.argwhere(lesion.array))
        index = np.rint(grid.lps_to_index(points)).astype(int)
        found[tuple(index[((index >= 0) & (index < grid.shape)).all(axis=1)].T)] = True
    return np.asarray(ndimage.binary_dilation(found, CONNECTIVITY))


def _coarse_grid(mask: Volume) -> Grid:
    """Return the grid around the lungs; its axes are those of ``mask``, which may be oblique."""
    start, stop = bounding_box(mask.array) or ((0, 0, 0), mask.shape)
    low = np.asarray(start) * mask.spacing - AROUND_LUNGS_MM
    extent = (np.asarray(stop) - start) * mask.spacing + 2 * AROUND_LUNGS_MM
    size = np.ceil(extent / SPACING_MM).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3] = mask.direction * SPACING_MM
    affine[:3, 3] = mask.index_to_lps(low / mask.spacing)
    return Grid(as_shape(size), affine)


def _resampled(volume: Volume, grid: Grid, outside: float = 0.0) -> Array:
    start = as_point(volume.lps_to_index(grid.origin))
    step = as_point(SPACING_MM / np.asarray(volume.spacing))
    return resample_separable(volume.array, start=start, step=step, size=grid.shape, outside=outside)


def _density(hu: HU, inside: Mask) -> Array:
    normal = hu[inside & (hu > LOWEST_NORMAL_HU) & (hu < HIGHEST_NORMAL_HU)]
    parenchyma = float(np.median(normal)) if len(normal) else -850.0
    density = np.clip((hu - parenchyma) / (BRIGHTEST_HU - parenchyma), 0, 1)
    return np.where(inside, density, 1).astype(np.float32)


def thin_points(points: Array, most: int) -> Array:
    """Return at most ``most`` of the points (n, 3), drawn with a fixed seed.

    Every n-th point of a mask would not do: its rows alternate between the lungs, and all points might lie in one.
    """
    if len(points) <= most:
        return points
    return np.asarray(points[np.random.default_rng(0).choice(len(points), most, replace=False)])
