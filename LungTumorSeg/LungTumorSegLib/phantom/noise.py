"""What the scanner adds: blur and correlated noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .shapes import Array

SLICE_BLUR_VOXELS = 0.35
"""Standard deviation of the slice profile, in slices: neighbors overlap a little."""


def scan(hu: Array, spacing: tuple[float, float, float], sharpness_mm: float, noise_hu: float, rng: np.random.Generator) -> Array:
    """HU as a scanner with an in-plane blur of ``sharpness_mm`` (Gaussian SD) and noise of SD ``noise_hu`` shows them; float32.

    The noise has the grain of the reconstruction kernel (correlated in the plane like the image's own blur, almost not across
    slices). ``hu`` (slice, row, column) with ``spacing`` mm.
    """
    in_plane = [sharpness_mm / s for s in spacing[1:]]
    blurred = ndimage.gaussian_filter(hu, [SLICE_BLUR_VOXELS, *in_plane], truncate=2.5, mode="nearest")
    if noise_hu > 0:
        noise = rng.standard_normal(hu.shape, dtype=np.float32)
        noise = ndimage.gaussian_filter(noise, [0, *in_plane], truncate=2.5, mode="wrap")
        blurred += noise * np.float32(noise_hu / noise.std())
    return np.asarray(blurred)
