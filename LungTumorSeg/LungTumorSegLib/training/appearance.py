"""How the same patient looks on other scanners: contrast agent, breath, kernel, dose, slice thickness, field of view.

The functions that change HU are pure: they take HU (slice, row, column) with the spacing in mm and return new HU of the
same shape. ``vary_patient`` and ``vary_scan`` draw their settings and change a ``Patch``, in the trainings of both
networks.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.volume import AIR_HU, Array, Float32Array, Mask
from .implants import Patch
from .sampling_config import AppearanceConfig
from .store import IGNORED

BLOOD_HU, ENHANCED_HU, BONE_HU = 40.0, 250.0, 670.0
"""HU of blood without a contrast agent, of strongly enhanced vessels, and of bone that never counts as enhanced.

Between the last two, the part of the HU that counts as contrast agent falls to 0.
"""

SOFT_HU, SMOOTHING_MM = -50.0, 1.5
"""HU from which a voxel is soft tissue, and standard deviation of the smoothing that removes noise from it, mm."""

AERATED_HU, AIRLESS_HU = -700.0, -300.0
"""HU up to which lung is aerated, and from which it is not (vessels, lesions)."""

EXPIRED_SHARE = (0.5, 0.9)
"""Range of the lung volume after expiration, as a share of that before."""

SMOOTH_MM, SHARP_MM, SHARPENING = (0.8, 2.5), (1.0, 2.0), (0.3, 1.2)
"""Ranges of the width (FWHM) of smooth kernels, mm, and of width and amount of the sharpening of sharp ones."""

NOISE_HU, NOISE_PEAK_PER_MM, NYQUIST_SHARE = (5.0, 45.0), (0.10, 0.35), 0.8
"""Ranges of the standard deviation of dose noise, HU, and of the frequency at which its spectrum peaks, 1/mm.

The peak stays below the stated share of the grid's highest frequency.
"""

THICKNESS_MM = (1.0, 8.0)
"""Range of the slice thickness, mm."""

FIELD_SHARE = (0.4, 0.9)
"""Range of the distance between a patch's center and the edge of the field of view, as a share of half its width."""

FIELD_RADIUS_MM = 180.0
"""Radius of the field of view, mm."""

REACH_MM = 12.0
"""Distance from the isolation mask up to which the tissue inside stands for what is outside, mm.

Nothing from farther away is blurred into the mask: the thickest slices reach half their thickness of 8 mm, and are
interpolated over 8 mm at most.
"""

FWHM = 2.3548
"""Full width at half maximum of a Gaussian per standard deviation."""


def recolor_contrast(hu: Float32Array, spacing_mm: tuple[float, float, float], factor: float) -> Float32Array:
    """Scale the contrast agent in vessels and heart, the part of the HU above unenhanced blood, by a factor.

    The part is measured on a smoothed copy of the soft tissue, so that the noise keeps its strength. Lung, fat,
    unenhanced tissue and dense bone keep their HU.

    Args:
        hu: HU (slice, row, column).
        spacing_mm: Spacing along (slice, row, column), mm.
        factor: 0 removes the contrast agent, 1 changes nothing, values above 1 add to it.
    """
    soft = (hu > SOFT_HU) & (hu < BONE_HU)
    sigma = [SMOOTHING_MM / each for each in spacing_mm]
    weight = ndimage.gaussian_filter(soft.astype(np.float32), sigma)
    smooth = ndimage.gaussian_filter(np.where(soft, hu, 0).astype(np.float32), sigma) / np.maximum(weight, 1e-3)
    rising = np.clip(smooth - BLOOD_HU, 0, ENHANCED_HU - BLOOD_HU)
    falling = (BONE_HU - smooth) * ((ENHANCED_HU - BLOOD_HU) / (BONE_HU - ENHANCED_HU))
    agent = np.where(soft, np.clip(falling, 0, rising), 0)
    return np.asarray(hu + np.float32(factor - 1) * agent, np.float32)


def exhale(hu: Float32Array, lungs: Mask, volume_share: float) -> Float32Array:
    """Make aerated lung as dense as it is after expiration to a share of its volume.

    The same tissue lies in less air: the density (HU + 1000) is divided by the share. Vessels and lesions keep their
    HU. The lungs keep their shape; only their density changes.

    Args:
        hu: HU (slice, row, column).
        lungs: The lungs, bool, of the same shape.
        volume_share: Lung volume after expiration over that before, above 0 and up to 1.
    """
    aerated = np.clip((AIRLESS_HU - hu) / (AIRLESS_HU - AERATED_HU), 0, 1) * lungs
    return np.asarray(hu + aerated * np.maximum(hu + 1000, 0) * (1 / volume_share - 1), np.float32)


def smooth_kernel(hu: Float32Array, spacing_mm: tuple[float, float, float], width_mm: float) -> Float32Array:
    """Blur each slice as a smooth reconstruction kernel does, by a Gaussian of this width (FWHM); the mean is kept."""
    sigma = [0.0, *(width_mm / FWHM / each for each in spacing_mm[1:])]
    return np.asarray(ndimage.gaussian_filter(hu, sigma, mode="nearest"), np.float32)


def sharp_kernel(
    hu: Float32Array, spacing_mm: tuple[float, float, float], width_mm: float, amount: float
) -> Float32Array:
    """Sharpen each slice as a sharp kernel does: add ``amount`` times what ``smooth_kernel`` removes; the mean is kept.

    Noise is amplified and edges overshoot, as in CT.
    """
    return np.asarray(hu + np.float32(amount) * (hu - smooth_kernel(hu, spacing_mm, width_mm)), np.float32)


def dose_noise(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    deviation_hu: float,
    peak_per_mm: float,
    rng: np.random.Generator,
) -> Float32Array:
    """Draw noise with the spectrum of CT noise: it rises with the frequency, peaks, and falls (band-limited).

    The power at the in-plane frequency f is f exp(-f^2 / (2 p^2)) with the peak p: the ramp of the reconstruction times
    the fall of its kernel. Slices are independent, and the mean of each is 0.

    Args:
        shape: Shape (slice, row, column).
        spacing_mm: Spacing along (slice, row, column), mm.
        deviation_hu: Expected standard deviation, HU.
        peak_per_mm: Frequency of the peak, 1/mm.
        rng: The random generator.

    References:
        Riederer, Pelc and Chesler 1978, "The noise power spectrum in computed X-ray tomography", Physics in Medicine
        and Biology 23.
    """
    rows, columns = (np.fft.fftfreq(n, d) for n, d in zip(shape[1:], spacing_mm[1:], strict=True))
    frequency = np.hypot(rows[:, None], columns)
    power = frequency * np.exp(-(frequency**2) / (2 * peak_per_mm**2))
    gain = np.sqrt(power / max(float(power.mean()), 1e-12))
    white = rng.normal(0, deviation_hu, shape)
    return np.asarray(np.fft.ifft2(np.fft.fft2(white) * gain).real, np.float32)


def thick_slices(
    hu: Float32Array,
    spacing_mm: tuple[float, float, float],
    thickness_mm: float,
    increment_mm: float = 0.0,
    first: float = 0.0,
) -> Float32Array:
    """Average thin slices to thick ones, on the same grid.

    Args:
        hu: HU (slice, row, column).
        spacing_mm: Spacing along (slice, row, column), mm; the thickness of the slices at the beginning.
        thickness_mm: The new thickness, mm; one that is not above the spacing changes nothing.
        increment_mm: Distance between the thick slices, mm; what lies between them is interpolated linearly. Up to the
            spacing, there is a thick slice at each place of the grid.
        first: Place of the first thick slice, in slices of the grid.
    """
    slices = thickness_mm / spacing_mm[0]
    if slices <= 1:
        return hu.astype(np.float32)
    offsets = np.arange(-np.ceil((slices - 1) / 2), np.ceil((slices - 1) / 2) + 1)
    weights = np.clip(np.minimum(offsets + 0.5, slices / 2) - np.maximum(offsets - 0.5, -slices / 2), 0, 1)
    averaged = ndimage.correlate1d(hu.astype(np.float32), weights / weights.sum(), axis=0, mode="nearest")
    if increment_mm <= spacing_mm[0]:
        return np.asarray(averaged, np.float32)
    grid = np.arange(len(hu), dtype=float)
    places = np.arange(first, len(hu), increment_mm / spacing_mm[0])
    taken = np.tensordot(_interpolation(grid, places), averaged, 1)
    return np.asarray(np.tensordot(_interpolation(places, grid), taken, 1), np.float32)


def outside_field(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], center: Array, radius_mm: float
) -> Mask:
    """Return the voxels (bool) outside the circular field of view around ``center`` (row, column) in every slice."""
    rows, columns = ((np.arange(n) - c) * s for n, c, s in zip(shape[1:], center, spacing_mm[1:], strict=True))
    return np.broadcast_to(np.hypot(rows[:, None], columns) > radius_mm, shape)


def vary_patient(patch: Patch, config: AppearanceConfig, rng: np.random.Generator) -> None:
    """Change contrast agent and breath of a patch, before lesions are implanted."""
    if _happens(config.contrast, rng):
        patch.hu[:] = recolor_contrast(patch.hu, patch.spacing_mm, rng.uniform(*config.contrast_factor))
    if _happens(config.exhalation, rng):
        patch.hu[:] = exhale(patch.hu, patch.lungs, rng.uniform(*EXPIRED_SHARE))


def vary_scan(patch: Patch, config: AppearanceConfig, rng: np.random.Generator, *, isolated: bool) -> None:
    """Change kernel, noise, slice thickness and field of view of a patch, after lesions were implanted.

    Args:
        patch: Changed in place. A field of view that cuts it leaves air outside, where lesions do not count.
        config: The shares of the changes.
        rng: The random generator.
        isolated: Whether there is air outside the isolation mask. The tissue at its border then stands for what was
            there, so that no air is blurred into the mask.
    """
    hu, spacing_mm = _filled(patch) if isolated else patch.hu, patch.spacing_mm
    if _happens(config.kernel, rng):
        if rng.random() < 0.5:
            hu = smooth_kernel(hu, spacing_mm, rng.uniform(*SMOOTH_MM))
        else:
            hu = sharp_kernel(hu, spacing_mm, rng.uniform(*SHARP_MM), rng.uniform(*SHARPENING))
    if _happens(config.noise, rng):
        highest = NYQUIST_SHARE * 0.5 / max(spacing_mm[1:])
        peak = min(rng.uniform(*NOISE_PEAK_PER_MM), highest)
        hu = hu + dose_noise(hu.shape, spacing_mm, rng.uniform(*NOISE_HU), peak, rng)
    if _happens(config.thick_slices, rng):
        thickness = rng.uniform(*THICKNESS_MM)
        increment = thickness if rng.random() < 0.5 else 0.0
        hu = thick_slices(hu, spacing_mm, thickness, increment, rng.uniform(0, 1))
    patch.hu[:] = np.where(patch.mask, hu, AIR_HU) if isolated else hu
    if _happens(config.truncation, rng):
        _truncate(patch, rng)


def _truncate(patch: Patch, rng: np.random.Generator) -> None:
    """Cut a patch by the edge of the field of view, from a random side."""
    angle, shape = rng.uniform(0, 2 * np.pi), patch.hu.shape
    extent_mm = np.array(shape[1:]) * patch.spacing_mm[1:] / 2
    away_mm = FIELD_RADIUS_MM - rng.uniform(*FIELD_SHARE) * float(extent_mm.min())
    center = np.array(shape[1:]) / 2 + away_mm * np.array([np.sin(angle), np.cos(angle)]) / patch.spacing_mm[1:]
    outside = outside_field(shape, patch.spacing_mm, center, FIELD_RADIUS_MM)
    patch.hu[outside] = AIR_HU
    patch.label[outside & (patch.label > 0)] = IGNORED


def _filled(patch: Patch) -> Float32Array:
    """Return HU in which a voxel outside the isolation mask has the mean HU of those inside within ``REACH_MM``."""
    if patch.mask.all() or not patch.mask.any():
        return patch.hu
    size = [2 * int(np.ceil(REACH_MM / each)) + 1 for each in patch.spacing_mm]
    least = 0.5 / np.prod(size)  # less than one voxel's share
    share = ndimage.uniform_filter(patch.mask.astype(np.float32), size, mode="constant")
    mean = ndimage.uniform_filter(np.where(patch.mask, patch.hu, 0), size, mode="constant") / np.maximum(share, least)
    return np.asarray(np.where(patch.mask | (share < least), patch.hu, mean), np.float32)


def _happens(share: float, rng: np.random.Generator) -> bool:
    """Draw whether a change of this share happens; a share of 0 draws nothing."""
    return share > 0 and bool(rng.random() < share)


def _interpolation(places: Array, wanted: Array) -> Array:
    """Return the matrix (wanted, places) of linear interpolation between ascending places, constant beyond them."""
    return np.stack([np.interp(wanted, places, unit) for unit in np.eye(len(places))], axis=1)
