"""Place DICOM slices on a regular grid.

ImagePositionPatient and ImageOrientationPatient state the position of each slice (DICOM PS3.3 C.7.6.2.1.1). Slices form
a regular grid if they lie straight above each other at equal distances, within the rounding of their positions. If they
do not (gantry tilt, variable spacing, missing slices), each slice is shifted within its own plane by linear
interpolation, and missing slices are interpolated between their neighbors. The planes keep their orientation, so a
tilted CT stays sharp, and its diameters are measured in the planes that were acquired.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import UnusableInput
from ..core.texts import shown
from ..core.volume import AIR_HU, Array

SAME_PLACE_MM = 0.01
"""Slices closer than this, in mm, lie at the same position.

The value is a tenth of the smallest spacing of a CT, and well above rounding in headers.
"""

DISTANCE_TOLERANCE = 0.01
"""Largest variation of the distances between neighboring slices, as a share of their mean.

Variations up to 1 % are rounding and table jitter, and are not visible.
"""

MAX_SLIP_SLICES = 0.5
"""Largest accumulated distance, in slices, between a slice and its position on a grid that counts as regular."""

ROUNDING_MM = 0.05
"""Largest deviation, in mm, from a straight line with equal steps that counts as rounding of positions.

The value is a tenth of a pixel.
"""

MAX_ROUNDING = 0.25
"""The same limit as a share of the step or pixel.

It ensures that positions rounded to whole millimeters cannot hide a missing slice.
"""

MOST_DECIMALS = 4
"""Largest number of decimals of a position that are considered."""

NOISE_MM = 1e-4
"""Error, in mm, of a single-precision position of 1 m; it is also the promised accuracy of the results."""

MAX_MISSING_SLICES = 3
"""Longest run of missing slices that interpolation bridges."""

PARALLEL_TOLERANCE = 1e-4
"""Largest difference of direction cosines within a stack: 0.05 mm over 500 mm."""

ON_SLICE = 1e-3
"""Distance, in slices, within which an output slice is taken from one acquired slice, without interpolation."""


@dataclass(frozen=True, eq=False)
class Planes:
    """Parallel slices in any order.

    Attributes:
        positions_lps: LPS positions (n, 3) of the first pixel of each slice, in mm.
        axes: LPS directions (2, 3) of increasing row index and increasing column index.
        pixel_spacing_mm: Pixel spacing (2,) along ``axes``, in mm.
    """

    positions_lps: Array
    axes: Array
    pixel_spacing_mm: Array

    @property
    def normal(self) -> Array:
        """Return the unit vector along which slices are counted: column direction x row direction.

        It points toward the head in a supine axial CT.
        """
        normal = np.cross(self.axes[1], self.axes[0])
        return np.asarray(normal / np.linalg.norm(normal))

    @property
    def heights_mm(self) -> Array:
        """Return the positions (n,) along the normal, in mm."""
        return np.asarray(self.positions_lps @ self.normal)

    def rounding_along(self, direction: Array) -> float:
        """Return the rounding error of the positions along a unit vector, in mm.

        The error is half the last decimal of the coordinates; coordinates that do not vary contribute nothing.
        """
        halves = [half_last_decimal(values) if np.ptp(values) else 0.0 for values in self.positions_lps.T]
        return float(np.abs(direction) @ halves)

    def subset(self, indices: Array) -> Planes:
        """Return the slices at ``indices``, in that order."""
        return Planes(self.positions_lps[indices], self.axes, self.pixel_spacing_mm)


def planes_of(positions_lps: Array, orientation: Array, pixel_spacing_mm: Array) -> Planes:
    """Return the planes of slices that share orientation and pixel spacing.

    Args:
        positions_lps: ImagePositionPatient of each slice, (n, 3), in mm.
        orientation: ImageOrientationPatient, (6,).
        pixel_spacing_mm: PixelSpacing, (2,), in mm.
    """
    cosines = orientation.reshape(2, 3)[::-1]  # DICOM states the direction of increasing column index first
    return Planes(positions_lps, cosines / np.linalg.norm(cosines, axis=1)[:, np.newaxis], pixel_spacing_mm)


def half_last_decimal(values: Array) -> float:
    """Return half of the last decimal to which numbers (n,) are rounded.

    It is 0.05 for 1.2 and 30.2000008, and 0.5 for whole numbers.
    """
    for decimals in range(MOST_DECIMALS):
        if np.abs(values - np.round(values, decimals)).max() <= NOISE_MM:
            return float(0.5 * 10.0**-decimals)
    return float(0.5 * 10.0**-MOST_DECIMALS)


def groups_at_same_place(planes: Planes) -> list[Array]:
    """Return the indices (n,) of the slices at each height, in ascending order of height."""
    order = np.argsort(planes.heights_mm, kind="stable")
    ends = np.flatnonzero(np.diff(planes.heights_mm[order]) > SAME_PLACE_MM) + 1
    return np.split(order, ends)


@dataclass(frozen=True, eq=False)
class StackPlan:
    """How sorted slices become a grid.

    Attributes:
        affine: 4 x 4 matrix of the grid, from (slice, row, column) index to LPS mm.
        shape: Number of (slices, rows, columns) of the grid.
        levels: Fractional slice index (n,) of each acquired slice on the grid.
        shifts: Shift (n, 2) of each acquired slice within its plane, in (rows, columns).
        warning: Sentence about the resampling; "" if no slice needs to be moved.
    """

    affine: Array
    shape: tuple[int, int, int]
    levels: Array
    shifts: Array
    warning: str


def plan_stack(planes: Planes, plane_shape: tuple[int, int], path: Path) -> StackPlan:
    """Fit a regular orthogonal grid to at least two slices sorted by height.

    Args:
        planes: The slices.
        plane_shape: Number of (rows, columns) of each slice.
        path: The CT, for error messages.

    Raises:
        UnusableInput: If more than ``MAX_MISSING_SLICES`` are missing in a row, or the slices do not lie above each
            other.
    """
    heights = planes.heights_mm
    distances = np.diff(heights)
    counts, step = regular_steps(heights, planes.rounding_along(planes.normal))
    if (counts != 1).any():
        _check_gaps(distances, step, path)
    shifts_mm = (planes.positions_lps - planes.positions_lps[0]) @ planes.axes.T
    if (np.ptp(shifts_mm, axis=0) > np.multiply(plane_shape, planes.pixel_spacing_mm)).any():
        raise UnusableInput(
            f"The slices of {shown(path)} are not stacked along one axis; export the series as one axial stack."
        )

    levels = np.concatenate([[0], np.cumsum(counts)])
    slope_mm = _sideways_slope(levels, shifts_mm, planes)
    if slope_mm is not None:
        shifts_mm = levels[:, np.newaxis] * slope_mm
    shifts = (shifts_mm - shifts_mm.min(axis=0)) / planes.pixel_spacing_mm
    rows, columns = (int(n) for n in plane_shape + np.ceil(shifts.max(axis=0) - ON_SLICE).astype(int))
    affine = np.eye(4)
    affine[:3, 0] = planes.normal * step
    affine[:3, 1:3] = (planes.axes * planes.pixel_spacing_mm[:, np.newaxis]).T
    affine[:3, 3] = planes.positions_lps[0] - affine[:3, 1:3] @ shifts[0]
    shape = (int(levels[-1] + ON_SLICE) + 1, rows, columns)
    findings = _sideways_finding(slope_mm, shifts_mm, step) + _distance_finding(counts, distances)
    return StackPlan(affine, shape, levels, shifts, _warning(findings))


def regular_steps(heights: Array, rounding_mm: float) -> tuple[Array, float]:
    """Return how many steps lie between neighboring slices, and the size of the step.

    Args:
        heights: Heights (n,) in ascending order, in mm.
        rounding_mm: Half the last decimal of the heights.

    Returns:
        The number of steps (n - 1,) and the step in mm. All numbers are 1 if the slices form a regular grid; they are
        larger where slices are missing, and fractions if no step fits. The step is the mean distance if one fits, and
        otherwise the lower median of the distances, which is not affected by gaps and is an actual distance.
    """
    distances = np.diff(heights)
    ones, mean = np.ones(len(distances)), float(distances.mean())
    if _is_even(heights - heights[0], mean):
        return ones, mean
    usual = float(np.sort(distances)[(len(distances) - 1) // 2])
    apart = max(2 * rounding_mm, ROUNDING_MM) + 2 * NOISE_MM
    for counts in (ones, np.rint(distances / usual)):
        if counts.min() < 1:
            continue
        mean = float(distances.sum() / counts.sum())
        low, high = slopes(np.concatenate([[0], np.cumsum(counts)]), heights, _allowed(rounding_mm, mean))
        low, high = max(low, ((distances - apart) / counts).max()), min(high, ((distances + apart) / counts).min())
        if low <= high:  # some step explains all heights and all distances; the mean alone is rounded as well
            return counts, float(np.clip(mean, low, high))
    return distances / usual, usual


def slopes(places: Array, values: Array, allowed: float) -> tuple[float, float]:
    """Return the lowest and the highest slope of a straight line that passes all values within a tolerance.

    The lowest slope exceeds the highest if there is no such line.

    Args:
        places: Positions (n,) in ascending order.
        values: Values (n,) at these positions.
        allowed: Largest distance of a value from the line.
    """
    low, high = -np.inf, np.inf
    for lag in range(1, len(places)):
        run, rise = places[lag:] - places[:-lag], values[lag:] - values[:-lag]
        low = max(low, float(((rise - 2 * allowed) / run).max()))
        high = min(high, float(((rise + 2 * allowed) / run).min()))
    return low, high


def _allowed(rounding_mm: float, spacing_mm: float) -> float:
    """Return the largest distance of positions from a straight line, in mm."""
    return min(max(rounding_mm, ROUNDING_MM), MAX_ROUNDING * spacing_mm) + NOISE_MM


def _sideways_slope(levels: Array, shifts_mm: Array, planes: Planes) -> Array | None:
    """Return the sideways shift (row, column) per slice of the grid, in mm.

    The shift is 0 if it is within rounding. The result is None if the slices do not follow a straight line.
    """
    found = np.zeros(2)
    for axis in range(2):
        allowed = _allowed(planes.rounding_along(planes.axes[axis]), planes.pixel_spacing_mm[axis])
        low, high = slopes(levels, shifts_mm[:, axis], allowed)
        if low > high:
            return None
        if not low <= 0 <= high:
            found[axis] = np.clip((shifts_mm[-1, axis] - shifts_mm[0, axis]) / levels[-1], low, high)
    return found


def _is_even(heights: Array, step: float) -> bool:
    """Return whether distances vary by at most ``DISTANCE_TOLERANCE`` without accumulating to ``MAX_SLIP_SLICES``."""
    slips = heights / step - np.arange(len(heights))
    return bool(np.abs(np.diff(slips)).max() <= DISTANCE_TOLERANCE and np.abs(slips).max() <= MAX_SLIP_SLICES)


def _check_gaps(distances: Array, step: float, path: Path) -> None:
    missing = int(np.rint(distances.max() / step)) - 1
    if missing > MAX_MISSING_SLICES:
        raise UnusableInput(
            f"{missing} neighboring slices of {shown(path)} are missing ({distances.max():.4g} mm apart where "
            f"{step:.4g} mm is usual), and LungTumorSeg interpolates at most {MAX_MISSING_SLICES}; copy or export the "
            "complete series."
        )


def _sideways_finding(slope_mm: Array | None, shifts_mm: Array, step: float) -> list[str]:
    if slope_mm is None:
        return [f"are shifted sideways by up to {np.linalg.norm(np.ptp(shifts_mm, axis=0)):.3g} mm"]
    if slope_mm.any():
        return [
            f"are tilted relative to their stack by {np.degrees(np.arctan2(np.linalg.norm(slope_mm), step)):.1f} "
            "degrees"
        ]
    return []


def _distance_finding(counts: Array, distances: Array) -> list[str]:
    if (counts == 1).all():
        return []
    missing = int(np.rint(counts - 1).clip(min=0).sum())
    return [
        f"are {distances.min():.4g} to {distances.max():.4g} mm apart" + (f" ({missing} missing)" if missing else "")
    ]


def _warning(findings: list[str]) -> str:
    if not findings:
        return ""
    return (
        f"The slices {' and '.join(findings)}. The CT was resampled to a regular orthogonal grid, and the results use "
        "this grid (ct.nrrd)."
    )


def resample_stack(slices: Array, plan: StackPlan) -> Array:
    """Return the voxels (slice, row, column) on the grid of ``plan``.

    Args:
        slices: Sorted slices (n, rows, columns), in HU.
        plan: The grid and the position of each slice on it.

    Returns:
        Linearly interpolated HU in the type of ``slices``; air outside the slices.
    """
    result = np.empty(plan.shape, slices.dtype)
    placed: dict[int, Array] = {}  # the one or two shifted slices for the current level
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
    from scipy import ndimage  # takes a third of a second, and few CTs need it

    return np.asarray(ndimage.affine_transform(plane, np.ones(2), -shift, output_shape=shape, order=1, cval=AIR_HU))
