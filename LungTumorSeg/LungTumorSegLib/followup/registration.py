"""Find where a point of the earlier CT lies in the later CT.

1. A rigid, then an affine transform aligns the surfaces of the lungs.
2. A smooth displacement draws the surfaces onto each other.
3. If both CTs are available, landmarks inside the lungs (branching vessels and airways) are looked up in the other CT
   by block matching, and the displacement is drawn to what most of them agree upon. Nothing outside the lungs takes
   part, so ribs and heart do not drag the lungs along.

The displacement is smoothed by normalized convolution (H. Knutsson and C.-F. Westin, Proc. CVPR 1993, p. 515): the mean
of the displacements nearby, weighted by a Gaussian. Every fifth landmark takes no part; those that are found in the
other CT, and from there back again, state the residual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.optimize import least_squares

from ..core.volume import Array, Geometry, Grid, Mask, Volume
from .landmarks import Matches, comparable, distinctive_places, find_places, found_again
from .lung_grid import LungGrid, thin_points

SURFACE_POINTS = 1500
"""Number of points of the lungs' surface that take part in the alignment of surfaces."""

STEP, STEP_MM, MOST_STEPS = 0.005, 0.5, 20
"""Differences of a matrix's entry (or an angle, radians) and of a shift (mm) by which the slope of the distances is
computed, and the largest number of steps of each alignment."""

FAR_MM = 30.0
"""Distance beyond which a surface point counts no more than at this distance, mm."""

SURFACE_SMOOTHING_MM = (30.0, 20.0, 15.0)
"""Standard deviations of the Gaussian in the steps that draw the surfaces onto each other, mm."""

LANDMARK_STEPS = ((5, 24.0), (3, 16.0), (2, 12.0))
"""Steps of the alignment by landmarks: largest offset in voxels, and standard deviation of the Gaussian, mm."""

CHECK_REACH_VOXELS = 5
"""Largest offset, voxels, at which the held-out landmarks are looked up."""

HELD_OUT_EVERY = 5
OUTLIER_MM = 4.0
"""Difference of a landmark's displacement from that of its neighbors from which it is ignored, mm."""

STEADINESS = 0.02
"""Weight of no displacement relative to that of one landmark: far from all landmarks, the displacement fades."""

FIELD_VOXELS = 2
"""Spacing of the displacement's grid in voxels of the lungs' grid."""

INVERSION_STEPS = 15
LEAST_LANDMARKS = 20
"""Smallest number of held-out landmarks whose median counts as the residual, and whose share is stated."""


@dataclass(frozen=True, eq=False)
class Registration:
    """The map from points of the later CT to points of the earlier CT.

    Attributes:
        affine: 4 x 4 matrix from later to earlier points, LPS mm.
        field: (slice, row, column, 3): displacement along LPS x, y, z, mm, that is added after ``affine``.
        grid: The grid, in the later CT, on which ``field`` is known.
        overlap: Dice overlap of the lungs after the registration, 0 to 1.
        residual_mm: Median distance, mm, of the held-out landmarks, or of the lung surfaces without landmarks.
        residual_p95_mm: 95th percentile of these distances, mm.
        landmarks: Number of held-out landmarks; 0 if the residual is that of the surfaces.
        found_share: Share of the held-out places of the later CT that were found in the earlier one, and from there
            back again, 0 to 1; None if fewer than ``LEAST_LANDMARKS`` were looked up.
    """

    affine: Array
    field: Array
    grid: Geometry
    overlap: float = 0.0
    residual_mm: float = 0.0
    residual_p95_mm: float = 0.0
    landmarks: int = 0
    found_share: float | None = None

    def to_earlier(self, points: Array) -> Array:
        """Return the points (n, 3) of the earlier CT for points (n, 3) of the later CT, LPS mm."""
        points = np.asarray(points, dtype=float)
        index = self.grid.lps_to_index(points).T
        shift = [ndimage.map_coordinates(self.field[..., i], index, order=1, mode="nearest") for i in range(3)]
        return np.asarray(_moved(self.affine, points) + np.stack(shift, axis=-1))

    def to_later(self, points: Array) -> Array:
        """Return the points (n, 3) of the later CT for points (n, 3) of the earlier CT, LPS mm."""
        points = np.asarray(points, dtype=float)
        back = np.linalg.inv(self.affine)
        later = _moved(back, points)
        for _ in range(INVERSION_STEPS):
            later = later + (points - self.to_earlier(later)) @ back[:3, :3].T
        return np.asarray(later)


def register(earlier: LungGrid, later: LungGrid) -> Registration:
    """Register two examinations; see the module."""
    surfaces = _Surface.of(earlier.lungs), _Surface.of(later.lungs)
    grid = _field_grid(later.lungs)
    found = Registration(align_surfaces(*surfaces), np.zeros((*grid.shape, 3), np.float32), grid)
    for sigma_mm in SURFACE_SMOOTHING_MM:
        found = _drawn(found, *_surface_shifts(found, *surfaces), sigma_mm)
    held_out, looked_up = None, 0
    if earlier.density is not None and later.density is not None:
        found, held_out, looked_up = _by_landmarks(found, earlier.density, later.density, comparable(later), surfaces)
    found = _checked(found, earlier, later, surfaces, held_out)
    if held_out is None or looked_up < LEAST_LANDMARKS:
        return found
    return replace(found, found_share=len(held_out.index) / looked_up)


def _field_grid(lungs: Volume) -> Grid:
    """Return a grid over the same box with coarser voxels; a smooth displacement needs no finer one."""
    slices, rows, columns = (-(-n // FIELD_VOXELS) + 1 for n in lungs.shape)
    return Grid((slices, rows, columns), lungs.affine_from((0, 0, 0), FIELD_VOXELS))


@dataclass(frozen=True, eq=False)
class _Surface:
    """Points (n, 3) on the surface of the lungs, LPS mm, and the distance from the surface, mm, negative inside."""

    points: Array
    distance: Volume

    @staticmethod
    def of(lungs: Volume) -> _Surface:
        inside = lungs.array
        distance = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
        distance += np.where(inside, 0.5, -0.5)  # the surface lies between the voxels
        index = np.argwhere(inside & ~ndimage.binary_erosion(inside, border_value=1))
        index = thin_points(index, SURFACE_POINTS)
        spacing = float(np.mean(lungs.spacing))
        return _Surface(lungs.index_to_lps(index), Volume(distance.astype(np.float32) * spacing, lungs.affine))

    def distances(self, points: Array) -> Array:
        """Return the distance from this surface at points (n, 3), mm."""
        index = self.distance.lps_to_index(points).T
        return np.asarray(ndimage.map_coordinates(self.distance.array, index, order=1, mode="nearest"))

    def slope(self, points: Array) -> Array:
        """Return the direction (n, 3), LPS, in which the distance increases at points (n, 3)."""
        steps = np.eye(3)
        slope = np.stack([self.distances(points + step) - self.distances(points - step) for step in steps], axis=-1)
        return np.asarray(slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-6))


def align_surfaces(earlier: _Surface, later: _Surface) -> Array:
    """Return the affine transform (4 x 4) from later to earlier points that aligns the surfaces of the lungs.

    Points of each surface are drawn to the other surface, so that neither can shrink into the other.
    """
    center = later.points.mean(axis=0)
    start = np.concatenate([np.zeros(3), earlier.points.mean(axis=0) - center])
    matrix = _fitted(lambda p: _rigid(p, center), start, earlier, later)
    start = np.concatenate([matrix[:3, :3].ravel(), matrix[:3, :3] @ center + matrix[:3, 3] - center])
    return _fitted(lambda p: _about(p[:9].reshape(3, 3), p[9:], center), start, earlier, later)


def _fitted(matrix_of: Callable[[Array], Array], start: Array, earlier: _Surface, later: _Surface) -> Array:
    def residuals(parameters: Array) -> Array:
        matrix = matrix_of(parameters)
        there = earlier.distances(_moved(matrix, later.points))
        here = later.distances(_moved(np.linalg.inv(matrix), earlier.points))
        return np.asarray(np.clip(np.concatenate([there, here]), -FAR_MM, FAR_MM))

    steps = np.where(np.arange(len(start)) < len(start) - 3, STEP, STEP_MM)

    def slopes(parameters: Array) -> Array:  # scipy's own differences are too small for distances on a grid
        sides = [[residuals(parameters + sign * step) for step in np.diag(steps)] for sign in (1, -1)]
        return np.asarray((np.stack(sides[0]) - np.stack(sides[1])).T / (2 * steps))

    found = least_squares(residuals, start, slopes, x_scale=steps, loss="soft_l1", f_scale=5.0, max_nfev=MOST_STEPS)
    return matrix_of(found.x)


def _rigid(parameters: Array, center: Array) -> Array:
    x, y, z = parameters[:3]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = float(np.linalg.norm(parameters[:3]))
    unit = cross / angle if angle else cross
    return _about(np.eye(3) + np.sin(angle) * unit + (1 - np.cos(angle)) * unit @ unit, parameters[3:], center)


def _about(matrix: Array, shift: Array, center: Array) -> Array:
    whole = np.eye(4)
    whole[:3, :3] = matrix
    whole[:3, 3] = center + shift - matrix @ center
    return whole


def _moved(matrix: Array, points: Array) -> Array:
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def _surface_shifts(found: Registration, earlier: _Surface, later: _Surface) -> tuple[Array, Array]:
    """Return points (n, 3) of the later CT and the shifts (n, 3), mm, that draw the surfaces onto each other."""
    there = found.to_earlier(later.points)
    onto = -np.clip(earlier.distances(there), -FAR_MM, FAR_MM)[:, None] * earlier.slope(there)
    here = found.to_later(earlier.points)
    back = np.clip(later.distances(here), -FAR_MM, FAR_MM)[:, None] * later.slope(here)
    return np.concatenate([later.points, here]), np.concatenate([onto, back @ found.affine[:3, :3].T])


def _drawn(
    found: Registration, points: Array, shifts: Array, sigma_mm: float, weights: Array | None = None
) -> Registration:
    """Add the smoothed shifts (n, 3), mm, at points (n, 3) of the later CT to a registration."""
    total, weight = _scattered(found.grid, points, shifts, weights)
    sigma = [sigma_mm / spacing for spacing in found.grid.spacing]
    # one point gives its own voxel this weight after the smoothing
    peak = 1 / float(np.prod([np.sqrt(2 * np.pi) * s for s in sigma]))
    soft = ndimage.gaussian_filter(weight, sigma, truncate=3) + STEADINESS * peak
    smooth = [ndimage.gaussian_filter(part, sigma, truncate=3) / soft for part in total]
    return Registration(found.affine, found.field + np.stack(smooth, axis=-1).astype(np.float32), found.grid)


def _scattered(grid: Geometry, points: Array, shifts: Array, weights: Array | None) -> tuple[Array, Array]:
    """Return the sums of the shifts (3, slice, row, column) and of their weights in each voxel of a grid."""
    index = np.rint(grid.lps_to_index(points)).astype(int)
    inside = ((index >= 0) & (index < grid.shape)).all(axis=1)
    index, shifts = index[inside], shifts[inside]
    weighed = np.ones(len(index)) if weights is None else weights[inside]
    total, weight = np.zeros((3, *grid.shape), np.float32), np.zeros(grid.shape, np.float32)
    np.add.at(weight, tuple(index.T), weighed)
    for part, along in zip(total, shifts.T, strict=True):
        np.add.at(part, tuple(index.T), along * weighed)
    return total, weight


def _by_landmarks(
    found: Registration, earlier: Volume, later: Volume, inside: Mask, surfaces: tuple[_Surface, _Surface]
) -> tuple[Registration, Matches, int]:
    """Draw a registration to the landmarks.

    Returns:
        The registration; the held-out landmarks, looked up once more; and how many places were looked up for them.
    """
    places = distinctive_places(later, inside)
    held_out = np.arange(len(places)) % HELD_OUT_EVERY == 0
    farthest = max(CHECK_REACH_VOXELS, *(reach for reach, _ in LANDMARK_STEPS))
    compared = ndimage.maximum_filter(inside, 2 * farthest + 1)  # find_places reads no other voxels
    for reach, sigma_mm in LANDMARK_STEPS:
        warped = _warped(earlier, found, later, compared)
        matches = find_places(later.array, warped, inside, places[~held_out], reach)
        points = later.index_to_lps(matches.index)
        offsets = later.index_to_lps(matches.index + matches.offset) - points
        shifts = offsets @ found.affine[:3, :3].T
        kept = _agreeing(points, shifts, sigma_mm)
        on_surface, surface_shifts = _surface_shifts(found, *surfaces)
        found = _drawn(
            found,
            np.concatenate([points[kept], on_surface]),
            np.concatenate([shifts[kept], surface_shifts]),
            sigma_mm,
            np.concatenate([np.ones(int(kept.sum())), np.full(len(on_surface), 0.1)]),
        )
    images = later.array, _warped(earlier, found, later, compared), inside
    matches = find_places(*images, places[held_out], CHECK_REACH_VOXELS)
    return found, found_again(*images, matches, CHECK_REACH_VOXELS), int(np.count_nonzero(held_out))


def _agreeing(points: Array, shifts: Array, sigma_mm: float) -> Mask:
    """Return which shifts (n, 3) agree with those around them (bool, n)."""
    kept = np.ones(len(points), dtype=bool)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)
    near = np.exp(-0.5 * (gaps / (1.5 * sigma_mm)) ** 2)
    np.fill_diagonal(near, 0)
    for _ in range(4):
        weights = near * kept
        mean = weights @ shifts / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
        off = np.linalg.norm(shifts - mean, axis=1)
        kept = off < max(OUTLIER_MM, 2 * float(np.median(off[kept])) if kept.any() else OUTLIER_MM)
    return np.asarray(kept)


def _warped(earlier: Volume, found: Registration, grid: Geometry, where: Mask) -> Array:
    """Return the earlier density on the grid of the later one, where ``where`` (bool) is set; 1 elsewhere."""
    index = earlier.lps_to_index(found.to_earlier(grid.index_to_lps(np.argwhere(where)))).T
    warped = np.ones(grid.shape, np.float32)
    warped[where] = ndimage.map_coordinates(earlier.array, index, order=1, mode="constant", cval=1.0)
    return warped


def _checked(
    found: Registration,
    earlier: LungGrid,
    later: LungGrid,
    surfaces: tuple[_Surface, _Surface],
    held_out: Matches | None,
) -> Registration:
    """Return the registration with its overlap and its residual."""
    inside = earlier.lungs.with_array(1 - earlier.lungs.array.astype(np.float32))
    there = later.lungs.array
    moved = _warped(inside, found, later.lungs, np.ones(there.shape, dtype=bool)) < 0.5
    total = int(np.count_nonzero(moved)) + int(np.count_nonzero(there))
    overlap = 2 * int(np.count_nonzero(moved & there)) / max(1, total)
    count = 0 if held_out is None else len(held_out.index)
    if held_out is not None and count >= LEAST_LANDMARKS:
        distances = np.linalg.norm(held_out.offset * np.asarray(later.lungs.spacing), axis=1)
    else:
        count = 0
        points = surfaces[1].points  # voxels' centers, which do not lie on their own surface either
        distances = np.abs(surfaces[0].distances(found.to_earlier(points)) - surfaces[1].distances(points))
    median, p95 = np.percentile(distances, (50, 95)).tolist()
    return Registration(found.affine, found.field, found.grid, float(overlap), median, p95, count)
