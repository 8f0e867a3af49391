"""Predictions drawn over CT slices, as PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..core.colors import Color
from ..core.complete_files import complete_file
from ..core.volume import Array, Mask

TRUTH_COLOR: Color = (0.10, 0.80, 1.00)
PREDICTION_COLOR: Color = (1.00, 0.50, 0.05)
"""Cyan (truth) and orange (prediction) are distinguishable with red-green color blindness."""

OVERLAY_SLICES = 4
PIXEL_MM = 0.75
"""Size of a pixel in overlays, mm; outlines of one pixel stay thin on a working grid of 1.5 to 2.5 mm."""


def write_overlay(
    image: Array, truth: Mask, prediction: Mask, spacing_mm: tuple[float, float, float], picture: Path
) -> None:
    """Write slices with the outlines of truth and prediction, side by side, as a PNG file.

    The picture shows up to ``OVERLAY_SLICES`` slices, spread over those that contain tumor in either mask, or over all
    slices if none does.

    Args:
        image: The CT in its window, from 0 (black) to 1, (slice, row, column) in canonical order.
        truth: The reference mask, bool, of the same shape.
        prediction: The predicted mask, bool, of the same shape.
        spacing_mm: Spacing along (slice, row, column), mm.
        picture: The PNG file.
    """
    shown = np.flatnonzero((truth | prediction).any(axis=(1, 2)))
    if not len(shown):
        shown = np.arange(len(image))
    chosen = shown[np.unique(np.linspace(0, len(shown) - 1, OVERLAY_SLICES).round().astype(int))]
    zoom = (spacing_mm[1] / PIXEL_MM, spacing_mm[2] / PIXEL_MM)
    pictures = [_overlay(image[k], truth[k], prediction[k], zoom) for k in chosen]
    with complete_file(picture) as unfinished:
        sitk.WriteImage(sitk.GetImageFromArray(np.concatenate(pictures, axis=1), isVector=True), str(unfinished))


def _overlay(image: Array, truth: Mask, prediction: Mask, zoom: tuple[float, float]) -> Array:
    gray = ndimage.zoom(image.astype(np.float32), zoom, order=1, grid_mode=True, mode="nearest")
    colored = np.repeat(np.rint(255 * gray.clip(0, 1)).astype(np.uint8)[..., None], 3, axis=-1)
    for mask, color in ((truth, TRUTH_COLOR), (prediction, PREDICTION_COLOR)):
        large = ndimage.zoom(mask.astype(np.uint8), zoom, order=0, grid_mode=True, mode="nearest") > 0
        colored[large & ~ndimage.binary_erosion(large)] = [round(255 * part) for part in color]
    return np.asarray(colored)
