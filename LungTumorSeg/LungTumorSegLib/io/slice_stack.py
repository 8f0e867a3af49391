"""From the places of DICOM slices to a regular grid.

Slices are where ImagePositionPatient and ImageOrientationPatient say (DICOM PS3.3 C.7.6.2.1.1). They form a regular grid if they lie
straight above each other at equal distances. If they do not (gantry tilt, variable spacing, missing slices), each is moved within
its own plane by linear interpolation, and slices are interpolated between neighbors: the planes keep their orientation, so a tilted
CT stays sharp and its diameters are measured in the planes that were acquired.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..core.errors import UnusableInput
from ..core.volume import AIR_HU, ORTHOGONALITY_TOLERANCE, Array

SAME_PLACE_MM = 0.01
"""Slices closer than this lie at the same place: a tenth of the smallest spacing of a CT, well above rounding in headers."""

DISTANCE_TOLERANCE = 0.01
"""Distances of neighboring slices may vary by 1 % of their mean: rounding and table jitter, below what can be seen."""

MAX_SLIP_SLICES = 0.5
"""No slice of a grid taken as regular lies farther than half a slice from its place, however small variations add up."""

IN_PLANE_TOLERANCE_MM = 0.05
"""Sideways shifts up to this are rounding of headers: about a tenth of a pixel over the whole stack."""

MAX_MISSING_SLICES = 3
"""Longest run of missing slices that is bridged by interpolation."""

PARALLEL_TOLERANCE = 1e-4
"""Largest difference of direction cosines within a stack: 0.05 mm over 500 mm."""

ON_SLICE = 1e-3
"""A result slice this near (in slices) to an acquired one is that one, not a mixture."""


@dataclass(frozen=True, eq=False)
class Planes:
    """Parallel slices in any order: ``positions_lps`` (n, 3) of their first pixels, their common ``axes`` and ``pixel_spacing_mm``.

    ``axes`` (2, 3) are the LPS directions of growing row and growing column index; ``pixel_spacing_mm`` belongs to them.
    """

    positions_lps: Array
    axes: Array
    pixel_spacing_mm: Array

    @property
    def normal(self) -> Array:
        """Unit vector along which slices are counted: column direction x row direction, to the head for a supine axial CT."""
        normal = np.cross(self.axes[1], self.axes[0])
        return np.asarray(normal / np.linalg.norm(normal))

    @property
    def heights_mm(self) -> Array:
        """(n,) positions along the normal."""
        return np.asarray(self.positions_lps @ self.normal)

    def subset(self, indices: Array) -> Planes:
        """The slices at ``indices``, in that order."""
        return Planes(self.positions_lps[indices], self.axes, self.pixel_spacing_mm)


def parallel_planes(positions_lps: Array, orientations: Array, pixel_spacings_mm: Array, path: Path) -> Planes:
    """Check n slices' ImagePositionPatient (n, 3), ImageOrientationPatient (n, 6) and PixelSpacing (n, 2) and unite them.

    Raises UnusableInput if a value is impossible or slices differ in orientation or spacing.
    """
    cosines = orientations.reshape(-1, 2, 3)[:, ::-1]  # DICOM names the direction of growing column index first
    lengths = np.linalg.norm(cosines, axis=2)
    sane = (
        np.isfinite(positions_lps).all()
        and np.abs(lengths - 1).max() <= ORTHOGONALITY_TOLERANCE
        and pixel_spacings_mm.min() > 0
    )
    if not sane or np.abs((cosines[:, 0] * cosines[:, 1]).sum(axis=1)).max() > ORTHOGONALITY_TOLERANCE:
        raise UnusableInput(
            f"The slices of {path} state an impossible position, orientation or pixel spacing; export the series again."
        )
    if (
        np.ptp(cosines, axis=0).max() > PARALLEL_TOLERANCE
        or np.ptp(pixel_spacings_mm, axis=0).max() > PARALLEL_TOLERANCE
    ):
        raise UnusableInput(
            f"The slices of {path} differ in orientation or pixel spacing; export the series as one axial stack."
        )
    axes = cosines[0] / lengths[0][:, np.newaxis]
    return Planes(positions_lps, axes, pixel_spacings_mm[0])


def groups_at_same_place(planes: Planes) -> list[Array]:
    """Indices of the slices at each height, heights growing; more than one index where slices coincide."""
    order = np.argsort(planes.heights_mm, kind="stable")
    ends = np.flatnonzero(np.diff(planes.heights_mm[order]) > SAME_PLACE_MM) + 1
    return np.split(order, ends)


@dataclass(frozen=True, eq=False)
class StackPlan:
    """How sorted slices become a grid.

    ``affine`` and ``shape`` are the grid's; ``levels`` (n,) say at which of its slices each acquired slice lies, in fractions;
    ``shifts`` (n, 2) by how many (rows, columns) each is moved in its plane. ``warning`` is empty where nothing needs to be moved.
    """

    affine: Array
    shape: tuple[int, int, int]
    levels: Array
    shifts: Array
    warning: str


def plan_stack(planes: Planes, plane_shape: tuple[int, int], path: Path) -> StackPlan:
    """Lay a regular orthogonal grid through at least two slices that are sorted by height.

    Raises UnusableInput if more than ``MAX_MISSING_SLICES`` are missing in a row or the slices do not lie above each other.
    """
    heights = planes.heights_mm
    distances = np.diff(heights)
    shifts_mm = (planes.positions_lps - planes.positions_lps[0]) @ planes.axes.T
    straight = np.ptp(shifts_mm, axis=0).max() <= IN_PLANE_TOLERANCE_MM
    step = float(distances.mean())
    even = _is_even(heights - heights[0], step)
    if not even:
        step = float(
            np.sort(distances)[(len(distances) - 1) // 2]
        )  # the lower median: gaps leave it alone, and it is a real distance
        _check_gaps(distances, step, path)
    if (np.ptp(shifts_mm, axis=0) > np.multiply(plane_shape, planes.pixel_spacing_mm)).any():
        raise UnusableInput(f"The slices of {path} do not lie above each other; export the series as one axial stack.")

    levels = np.arange(len(heights)) if even else (heights - heights[0]) / step
    shifts = np.zeros_like(shifts_mm) if straight else (shifts_mm - shifts_mm.min(axis=0)) / planes.pixel_spacing_mm
    rows, columns = (int(n) for n in plane_shape + np.ceil(shifts.max(axis=0) - ON_SLICE).astype(int))
    affine = np.eye(4)
    affine[:3, 0] = planes.normal * step
    affine[:3, 1:3] = (planes.axes * planes.pixel_spacing_mm[:, np.newaxis]).T
    affine[:3, 3] = planes.positions_lps[0] - affine[:3, 1:3] @ shifts[0]
    shape = (int(levels[-1] + ON_SLICE) + 1, rows, columns)
    return StackPlan(affine, shape, levels, shifts, _warning(straight, even, shifts_mm, distances, step))


def _is_even(heights: Array, step: float) -> bool:
    """True if distances vary by ``DISTANCE_TOLERANCE`` at most and do not add up to ``MAX_SLIP_SLICES``."""
    slips = heights / step - np.arange(len(heights))
    return bool(np.abs(np.diff(slips)).max() <= DISTANCE_TOLERANCE and np.abs(slips).max() <= MAX_SLIP_SLICES)


def _check_gaps(distances: Array, step: float, path: Path) -> None:
    missing = int(np.rint(distances.max() / step)) - 1
    if missing > MAX_MISSING_SLICES:
        raise UnusableInput(
            f"{missing} neighboring slices of {path} are missing ({distances.max():.4g} mm apart where {step:.4g} mm is usual), "
            f"and at most {MAX_MISSING_SLICES} can be bridged; copy or export the series completely."
        )


def _warning(straight: bool, even: bool, shifts_mm: Array, distances: Array, step: float) -> str:
    findings = []
    if not straight:
        tilt = np.degrees(np.arctan2(np.linalg.norm(shifts_mm[-1]), distances.sum()))
        findings.append(f"are tilted against their stack by {tilt:.1f} degrees")
    if not even:
        missing = int(np.rint(distances / step - 1).clip(min=0).sum())
        findings.append(
            f"are {distances.min():.4g} to {distances.max():.4g} mm apart"
            + (f" ({missing} missing)" if missing else "")
        )
    if not findings:
        return ""
    found = " and ".join(findings)
    return f"The slices {found}; the CT was resampled to a regular orthogonal grid, which is the grid of the results (ct.nrrd)."


def resample_stack(slices: Array, plan: StackPlan) -> Array:
    """The voxels of the grid of ``plan`` from sorted ``slices`` (n, rows, columns), linearly interpolated, air outside of them."""
    result = np.empty(plan.shape, slices.dtype)
    placed: dict[int, Array] = {}  # the one or two slices that the current level needs, in their place
    for level in range(plan.shape[0]):
        above = int(np.searchsorted(plan.levels, level - ON_SLICE))
        below = above if plan.levels[above] <= level + ON_SLICE else above - 1
        placed = {
            i: placed[i] if i in placed else _placed(slices[i], plan.shifts[i], plan.shape[1:]) for i in (below, above)
        }
        mixed = placed[below]
        if above != below:
            weight = np.float32((level - plan.levels[below]) / (plan.levels[above] - plan.levels[below]))
            mixed = mixed + weight * (placed[above] - mixed)
        result[level] = np.rint(mixed) if result.dtype.kind == "i" else mixed
    return result


def _placed(plane: Array, shift: Array, shape: tuple[int, ...]) -> Array:
    plane = plane.astype(np.float32)
    if not shift.any() and plane.shape == shape:
        return plane
    return np.asarray(ndimage.affine_transform(plane, np.ones(2), -shift, output_shape=shape, order=1, cval=AIR_HU))
