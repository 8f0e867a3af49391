"""Spots: small places in the lungs that are denser than what surrounds them on all sides, like a ball.

They are found without the first network, which misses small nodules; the second network decides about them. Whether a
place is like a ball, a tube or a sheet shows in the second derivatives of the CT at the size of the place: Li, Sone
and Doi, "Selective enhancement filters for nodules, vessels, and airway walls in two- and three-dimensional CT scans"
(Medical Physics 30, 2003).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.boxes import Box, bounding_box, slices_of
from ..core.resampling import resample_separable
from ..core.volume import AIR_HU, HU, Array, Float32Array, Mask, Point, Volume, as_point, as_shape

VOXEL_MM = 1.5
"""Voxels of the volume in which spots are sought, mm."""

SIGMAS_MM = (1.5, 2.1, 3.0)
"""Standard deviations of the Gaussian filters, mm; each responds most to balls of 1.7 times this radius."""

DENSE_HU, OUTSIDE_HU = 200.0, 150.0
"""HU above which a voxel counts as no denser, and HU of all voxels outside the lungs, about those of soft tissue."""

LEAST_LAPLACE_HU = 60.0
"""Smallest negative Laplacian at the scale of the filter, HU, of a voxel that is looked at."""

LEAST_ROUNDNESS_HU = 30.0
"""Smallest roundness of a spot, HU."""

APART_MM = 6.0
"""Smallest distance between two spots, mm."""

MOST_SPOTS = 40
"""Largest number of spots per CT, the roundest ones."""

_AXES = np.eye(3, dtype=int)


@dataclass(frozen=True)
class Spot:
    """A small dense place.

    Attributes:
        center: Its middle, LPS mm.
        roundness: How strongly it stands out along all three axes, HU; see ``_roundness``.
    """

    center: Point
    roundness: float


def find_spots(ct: Volume, lungs: Mask) -> list[Spot]:
    """Find the spots in the lungs.

    Args:
        ct: The CT (slice, row, column), HU, with canonical axes.
        lungs: Both lungs (bool) on the same grid.

    Returns:
        At most ``MOST_SPOTS`` spots, the roundest one first.
    """
    box = bounding_box(lungs)
    if box is None:
        return []
    hu, inside = _reduced(ct, lungs, box)
    roundness = np.zeros(hu.shape, np.float32)
    for sigma_mm in SIGMAS_MM:
        at, values = _roundness(hu.array, inside, sigma_mm)
        roundness[at] = np.maximum(roundness[at], values)
    return [Spot(as_point(hu.index_to_lps(index)), float(roundness[tuple(index)])) for index in _peaks(roundness)]


def _reduced(ct: Volume, lungs: Mask, box: Box) -> tuple[Volume, Mask]:
    """Return the box of the lungs in cubic voxels, HU limited to ``DENSE_HU``, and the lungs (bool) on that grid."""
    part = ct.crop(*box)
    step = VOXEL_MM / np.asarray(ct.spacing)
    size = as_shape(np.ceil(np.asarray(part.shape) / step).astype(int))
    affine = part.affine_from((0, 0, 0), step)

    def reduced(array: Array, outside: float = 0.0) -> Float32Array:
        return resample_separable(array, start=(0.0, 0.0, 0.0), step=as_point(step), size=size, outside=outside)

    inside = reduced(lungs[slices_of(box)]) > 0.5
    hu = reduced(np.minimum(part.array, DENSE_HU), AIR_HU)
    return Volume(np.where(inside, hu, np.float32(OUTSIDE_HU)), affine), inside


def _roundness(hu: HU, inside: Mask, sigma_mm: float) -> tuple[tuple[Array, ...], Array]:
    """Return where places stand out along all axes at one scale, and how round they are.

    The roundness is the square of the weakest second derivative, divided by the strongest one (Li 2003): 0 for a tube
    or a sheet, and the strength of the second derivative for a ball. Both are the eigenvalues of the Hessian matrix
    times the square of the scale, so that all scales compare.

    Args:
        hu: HU in cubic voxels (slice, row, column).
        inside: The lungs (bool).
        sigma_mm: The scale, mm.

    Returns:
        The indices along each axis, and the roundness (HU) at each of them.
    """
    sigma = sigma_mm / VOXEL_MM
    smooth = ndimage.gaussian_filter(hu, sigma, truncate=3.0)
    at = np.nonzero(inside & (ndimage.laplace(smooth) * sigma**2 < -LEAST_LAPLACE_HU))
    here = np.stack(at, axis=1)

    def value(offset: Array) -> Array:
        return np.asarray(smooth[tuple(np.clip(here + offset, 0, np.asarray(hu.shape) - 1).T)])

    hessian = np.empty((len(here), 3, 3), np.float32)
    middle = value(np.zeros(3, int))
    for a in range(3):
        hessian[:, a, a] = value(_AXES[a]) + value(-_AXES[a]) - 2 * middle
        for b in range(a):
            up, across = _AXES[a] + _AXES[b], _AXES[a] - _AXES[b]
            hessian[:, a, b] = hessian[:, b, a] = (value(up) + value(-up) - value(across) - value(-across)) / 4
    strongest, _, weakest = np.linalg.eigvalsh(hessian).T * sigma**2
    dent = weakest < 0
    return tuple(axis[dent] for axis in at), weakest[dent] ** 2 / -strongest[dent]


def _peaks(roundness: Array) -> Iterator[Array]:
    """Yield the indices of the roundest voxels, at least ``APART_MM`` from each other, the roundest one first."""
    at = np.argwhere(roundness > LEAST_ROUNDNESS_HU)
    left = at[np.argsort(-roundness[tuple(at.T)], kind="stable")]
    for _ in range(MOST_SPOTS):
        if not len(left):
            return
        first = left[0]
        yield first
        left = left[np.linalg.norm((left - first) * VOXEL_MM, axis=1) > APART_MM]
