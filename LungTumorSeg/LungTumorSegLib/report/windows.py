"""Which HU a section shows as black and as white."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.boxes import grow_box
from ..core.crops import Crop
from ..core.volume import CTVolume
from ..isolation.lungs import LUNG_HU

Window = tuple[float, float]
"""HU shown as black and as white."""

WINDOW_HU: Window = (-1000.0, 400.0)
"""Both lung and soft tissue keep their structure."""

SOFT_TISSUE_HU: Window = (-160.0, 240.0)
"""The edges of nodes and of tumors in the mediastinum and the chest wall are seen: 400 HU around 40 HU."""

AROUND_MM = 5.0
"""Width of what lies around a lesion, mm."""

LEAST_LUNG_SHARE = 0.25
"""Share of lung around a lesion from which both lung and soft tissue are shown."""


def lung_share(ct: CTVolume, crop: Crop) -> float:
    """Return which share of the voxels around a lesion is lung or air.

    Args:
        ct: The CT (HU), with canonical axes.
        crop: The lesion, cut out of the CT's grid.
    """
    box = grow_box(crop.box, AROUND_MM, ct)
    mask = crop.filling(box)
    distance_mm = ndimage.distance_transform_edt(~mask, sampling=ct.spacing)
    around = ct.crop(*box).array[(distance_mm > 0) & (distance_mm <= AROUND_MM)]
    return float(np.mean(around < LUNG_HU)) if around.size else 0.0


def window_text(window: Window) -> str:
    """Return width and level of a window in words."""
    low, high = window
    return f"window {high - low:.0f} HU, level {(high + low) / 2:.0f} HU"
