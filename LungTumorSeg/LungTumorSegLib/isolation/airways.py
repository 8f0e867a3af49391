"""Trachea and main bronchi, followed slice by slice from the neck to the lungs: part of step 2 of lung isolation."""

from __future__ import annotations

import numpy as np

from ..core.volume import HU, Array, Mask, Volume
from .body import NOISE_HU
from .morphology import Spacing, box_around, dilate, label_components

LUMEN_HU = (-500, -650, -800, -900)
"""Thresholds for the lumen, HU, tried in turn.

If a wall is so thin that the lumen merges with the lung at one threshold, a lower threshold still separates them.
"""

LUMEN_AREA_MM2 = (30.0, 900.0)
"""Smallest and largest cross-section of a trachea or main bronchus, mm2.

Adult tracheas measure 150 to 400 mm2; the range includes oblique cuts and the carina.
"""

RING_MM = 5.0
"""Width of the ring around a lumen that distinguishes the mediastinum from the lung, mm."""

RING_HU = -600
"""Mean HU of that ring above which the lumen lies in the mediastinum.

In the mediastinum the mean is higher, even with lung on one side. Inside a lung, it is lower (-910 to -750 HU).
"""

WIDE_MM2, CORE_HU = 150.0, -880
"""Cross-section from which the middle of a lumen is free of partial volume (mm2), and the HU that it does not exceed.

A recess of lung behind a tumor has the cross-section of an airway and soft tissue around it, but no air: its darkest
voxel has -850 to -770 HU (4dlung_113). In wide lumens it has -1020 to -920 HU on twelve CTs.
"""

TRACK_MM = 40.0
"""Length over which an airway keeps its cross-section, mm; the tip of a lung widens within a shorter length."""


def find_airways(ct: Volume, body: Volume) -> Volume:
    """Find the lumen of the trachea and the main bronchi.

    A track begins above the widest slice of the lungs, at a region that is large enough for a lumen and has no such
    region above it. It continues downward through the overlapping regions of the next slices. A track is an airway if
    it continues for 40 mm with a small cross-section, soft tissue around it, and air in its middle where it is wide.
    The tip of a lung has neither. The track ends where the lumen merges with the lung.

    Args:
        ct: The CT (HU, axial LPS).
        body: The body (bool) on the same grid.

    Returns:
        The lumen (bool) on the same grid.
    """
    found = np.zeros(ct.shape, bool)
    if body.array.any():
        core_hu = max(CORE_HU, int(ct.array.min()) + NOISE_HU)  # of a clipped CT, no voxel is darker
        near = box_around(body.array, _ring_mm(ct.spacing), ct.spacing, planar=True)[1:]
        here = slice(None), *near
        _find_tracks(Volume(ct.array[here], ct.affine), body.array[here], core_hu, found[here])
    return ct.with_array(found)


def _find_tracks(ct: Volume, body: Mask, core_hu: int, found: Mask) -> None:
    """Add the airways to ``found``, bool (slices, rows, columns).

    Args:
        ct: The CT (HU, axial LPS), without what lies far outside the body; of its affine, only the spacing counts.
        body: The body, bool (slices, rows, columns).
        core_hu: HU that the middle of a wide lumen does not exceed.
        found: Where the airways are added.
    """
    slices = ct.shape[0]
    pixel_mm2 = ct.spacing[1] * ct.spacing[2]
    above = np.zeros(ct.shape[1:], bool)
    widest = int((body & (ct.array < LUMEN_HU[0])).sum(axis=(1, 2)).argmax())
    # In a CT of the lower chest, the top slice is the widest. A CT shorter than 40 mm cannot contain a track.
    lowest_start = max(min(widest, slices - 1 - round(TRACK_MM / ct.spacing[0])), -1)
    for index in range(slices - 1, lowest_start, -1):
        air = np.zeros_like(above)
        labels, count = label_components(body[index] & (ct.array[index] < LUMEN_HU[0]))
        for label in range(1, count + 1):
            region = labels == label
            if region.sum() * pixel_mm2 >= LUMEN_AREA_MM2[0]:
                air |= region
                track = [] if (region & above).any() else _track(ct, body, index, region, core_hu)
                if len(track) * ct.spacing[0] >= TRACK_MM:
                    for depth, lumen in enumerate(track):
                        found[index - depth] |= lumen
        above = air


def _ring_mm(spacing: Spacing) -> float:
    """Return the width of the ring around a lumen: at least two voxels, because the lumen blurs the first one."""
    return max(RING_MM, 2 * spacing[2])


def _track(ct: Volume, body: Mask, index: int, region: Mask, core_hu: int) -> list[Mask]:
    """Return the lumens, bool (rows, columns), from slice ``index`` downward, beginning with ``region``."""
    track: list[Array] = []
    current = region
    while index >= 0:
        current = _lumens(ct.array[index], body[index], current, ct.spacing, core_hu)
        if not current.any():
            break
        track.append(current)
        index -= 1
    return track


def _lumens(image: HU, body: Mask, previous: Mask, spacing: Spacing, core_hu: int) -> Mask:
    """Find the regions of a slice that continue the lumens of the slice above.

    Each region is cut at the highest threshold that keeps it small.
    """
    lumens = np.zeros_like(previous)
    rest = previous
    for threshold in LUMEN_HU:
        labels, _ = label_components(body & (image < threshold))
        for label in np.unique(labels[rest & (labels > 0)]):
            region = labels == label
            if _is_airway(region, image, spacing, core_hu):
                lumens |= region
                rest = rest & ~region
        if not rest.any():
            break
    return lumens


def _is_airway(region: Mask, image: HU, spacing: Spacing, core_hu: int) -> bool:
    """Return whether a region (rows, columns) has the area and the content of an airway and lies in the mediastinum."""
    area = region.sum() * spacing[1] * spacing[2]
    if not LUMEN_AREA_MM2[0] <= area <= LUMEN_AREA_MM2[1]:
        return False
    if area >= WIDE_MM2 and image[region].min() > core_hu:
        return False
    width_mm = _ring_mm(spacing)
    box = box_around(region[None], width_mm, spacing)
    lumen = region[None][box]
    ring = dilate(lumen, width_mm, spacing, planar=True) & ~lumen
    return bool(image[None][box][ring].mean() > RING_HU)
