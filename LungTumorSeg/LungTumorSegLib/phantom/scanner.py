"""Properties of the scan: the grid, the reconstruction circle, blur and correlated noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.volume import AIR_HU, Array, Grid, as_shape
from .options import PhantomOptions
from .patient import Patient, stream

SLICE_BLUR_VOXELS = 0.35
"""Standard deviation of the slice profile, in slices: neighboring slices overlap a little."""

IN_PLANE_MM, BETWEEN_SLICES_MM = (1.0, 1.4), (2.5, 3.0)
FIELD_OF_VIEW_MM, FIELD_WITH_ARMS_MM = (345.0, 400.0), 500.0
LOWEST_MM, HIGHEST_MM = -212.0, 105.0
"""Model heights that a default scan covers, mm: from below the posterior costophrenic angle to above the apices."""

AXIAL = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
"""Default direction, by columns: slices run to the head, rows to the back, columns to the left."""

LARGEST_HU = 3071
"""Highest HU of 12-bit CT."""


def place_grid(seed: int, patient: Patient, options: PhantomOptions) -> Grid:
    """Place the CT's grid around the patient.

    The carina lies near LPS (0, 12, 0), whatever ``options.origin_lps_mm`` says; the caller shifts the origin later.

    Args:
        seed: The phantom's seed; it draws voxel size, field of view and height unless the options fix them.
        patient: Size, posture and inspiration determine how much must be scanned.
        options: Supplies the values that are fixed.

    Returns:
        The grid (slice, row, column), in LPS mm.
    """
    rng = stream(seed, "grid")
    in_plane, between = float(rng.uniform(*IN_PLANE_MM)), float(rng.uniform(*BETWEEN_SLICES_MM))
    width = float(rng.uniform(*FIELD_OF_VIEW_MM)) if patient.arms == "up" else FIELD_WITH_ARMS_MM
    low, high = LOWEST_MM - max(patient.inspiration_mm, 0), HIGHEST_MM + float(rng.uniform(0, 12))
    width, low, high = width * patient.scale[0], low * patient.scale[2], high * patient.scale[2]
    center = np.array([rng.normal(0, 5), rng.normal(12, 4), 0.0])
    spacing = np.asarray(options.spacing_mm or (between, in_plane, in_plane))
    width = options.field_of_view_mm or width
    low, high = options.height_mm or (low, high)
    center[2] = (low + high) / 2
    direction = np.asarray(options.direction or AXIAL, dtype=float)
    extent = np.abs(direction).T @ np.array([width, width, high - low])
    size = np.maximum(np.ceil(extent / spacing - 1e-6).astype(int), 1)
    affine = np.eye(4)
    affine[:3, :3] = direction * spacing
    affine[:3, 3] = center - affine[:3, :3] @ ((size - 1) / 2)
    return Grid(as_shape(size), affine)


def scan(hu: Array, spacing: tuple[float, float, float], patient: Patient, rng: np.random.Generator) -> Array:
    """Simulate the scan of true ``hu``.

    The image is blurred in the plane (Gaussian with the standard deviation ``patient.sharpness_mm``) and between
    slices. The noise is correlated by the same kernel in the plane and uncorrelated across slices.

    Args:
        hu: True HU (slice, row, column), float32.
        spacing: Spacing along (slice, row, column), mm.
        patient: Supplies blur, noise and the reconstruction circle.
        rng: Draws the noise.

    Returns:
        HU (slice, row, column), int16, from ``AIR_HU`` to ``LARGEST_HU``. Voxels outside the reconstruction circle, if
        there is one, are ``AIR_HU``.
    """
    in_plane = [patient.sharpness_mm / s for s in spacing[1:]]
    image = ndimage.gaussian_filter(hu, [SLICE_BLUR_VOXELS, *in_plane], truncate=2.5, mode="nearest")
    if patient.noise_hu > 0:
        noise = rng.standard_normal(hu.shape, dtype=np.float32)
        noise = ndimage.gaussian_filter(noise, [0, *in_plane], truncate=2.5, mode="wrap")
        noise *= np.float32(patient.noise_hu / noise.std())
        image += noise
    np.rint(image, out=image)
    np.clip(image, AIR_HU, LARGEST_HU, out=image)
    if patient.circle:
        rows, columns = ((2 * np.arange(n) + 1) / n - 1 for n in hu.shape[1:])
        image[:, rows[:, None] ** 2 + columns[None, :] ** 2 > 1] = AIR_HU
    return np.asarray(image, dtype=np.int16)
