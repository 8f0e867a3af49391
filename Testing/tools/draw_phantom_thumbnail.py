"""Draw the thumbnail of the sample data "Lung tumor phantom": a coronal slice through its largest lesion.

The slice is shown in the lung window, with the lesion in red.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from LungTumorSegLib.phantom import make_phantom
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage

PHANTOM_SEED = 7
"""Seed of the sample data in LungTumorSeg.py."""

SIZE_PIXELS = (260, 280)
WINDOW_HU = (-1350.0, 350.0)
TARGET = Path(__file__).resolve().parents[2] / "LungTumorSeg/Resources/Icons/LungTumorPhantom.png"


def main() -> None:
    """Draw and save the thumbnail."""
    phantom = make_phantom(PHANTOM_SEED)
    axes = phantom.ct.canonical_axes()
    ct, tumor = axes.apply(phantom.ct), axes.apply(phantom.tumor)
    row = int((tumor.array == 1).sum(axis=(0, 2)).argmax())
    low, high = WINDOW_HU
    gray = (np.clip((ct.array[::-1, row] - low) / (high - low), 0, 1) * 255).astype(np.uint8)  # head at the top
    rgb = np.repeat(gray[..., np.newaxis], 3, axis=2)
    lesion = tumor.array[::-1, row] > 0
    rgb[lesion] = (0.55 * rgb[lesion] + 0.45 * np.array([235, 50, 40])).astype(np.uint8)
    height, width = gray.shape
    image = QImage(np.ascontiguousarray(rgb).tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    slices_mm, _, columns_mm = ct.spacing
    scale = SIZE_PIXELS[1] / (height * slices_mm)
    scaled = image.scaled(
        round(width * columns_mm * scale),
        SIZE_PIXELS[1],
        Qt.AspectRatioMode.IgnoreAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
    scaled.copy((scaled.width() - SIZE_PIXELS[0]) // 2, 0, *SIZE_PIXELS).save(str(TARGET))


if __name__ == "__main__":
    main()
