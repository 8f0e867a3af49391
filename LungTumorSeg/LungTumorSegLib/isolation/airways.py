"""Trachea and main bronchi, followed slice by slice from the neck to where they enter the lungs: part of step 2 of lung isolation."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.volume import Array, Volume
from .morphology import Spacing, bounding_box, dilate

LUMEN_HU = (-500, -650, -800, -900)
"""Tried in turn, HU: where a thin wall lets the lumen run together with the lung at one threshold, a lower one still parts them."""

LUMEN_AREA_MM2 = (30.0, 900.0)
"""Cross-section of a trachea or main bronchus, oblique cuts and the carina included: adult tracheas measure 150 to 400 mm2."""

RING_MM = 5.0
"""Width of the ring around a lumen that tells the mediastinum from the lung."""

RING_HU = -600
"""Mean of that ring, HU: in the mediastinum above it, with lung on one side too; inside a lung (-910 to -750) below it."""

TRACK_MM = 40.0
"""An airway keeps its cross-section for at least this long; the tip of a lung outgrows it sooner."""


def find_airways(ct: Volume, body: Volume) -> Volume:
    """Lumen of trachea and main bronchi, a bool mask on the grid of ``ct`` (axial LPS, HU); ``body`` is a mask on the same grid.

    A track begins above the widest slice of the lungs, at a region wide enough for a lumen that has no such region above it, and goes down
    through the overlapping regions of the next slices. It is an airway if it goes on for 40 mm with a small cross-section and soft tissue
    around it. A lung's tip passes neither; it ends where the lumen runs into the lung.
    """
    slices = ct.shape[0]
    pixel_mm2 = ct.spacing[1] * ct.spacing[2]
    found = np.zeros(ct.shape, bool)
    above = np.zeros(ct.shape[1:], bool)
    widest = int((body.array & (ct.array < LUMEN_HU[0])).sum(axis=(1, 2)).argmax())
    lowest_start = min(
        widest, slices - 1 - round(TRACK_MM / ct.spacing[0])
    )  # a CT of the lower chest has its widest slice on top
    lowest_start = max(lowest_start, -1)  # one of less than 40 mm has no room for an airway
    for index in range(slices - 1, lowest_start, -1):
        air = np.zeros_like(above)
        labels, count = ndimage.label(body.array[index] & (ct.array[index] < LUMEN_HU[0]))
        for label in range(1, count + 1):
            region = labels == label
            if region.sum() * pixel_mm2 >= LUMEN_AREA_MM2[0]:
                air |= region
                track = [] if (region & above).any() else _track(ct, body.array, index, region)
                if len(track) * ct.spacing[0] >= TRACK_MM:
                    for depth, lumen in enumerate(track):
                        found[index - depth] |= lumen
        above = air
    return ct.with_array(found)


def _track(ct: Volume, body: Array, index: int, region: Array) -> list[Array]:
    """The lumens, bool (rows, columns), from slice ``index`` downward that begin with ``region``."""
    track: list[Array] = []
    current = region
    while index >= 0:
        current = _lumens(ct.array[index], body[index], current, ct.spacing)
        if not current.any():
            break
        track.append(current)
        index -= 1
    return track


def _lumens(image: Array, body: Array, previous: Array, spacing: Spacing) -> Array:
    """The regions of a slice that go on from the lumens of the slice above, each at the highest threshold that keeps it small."""
    lumens = np.zeros_like(previous)
    rest = previous
    for threshold in LUMEN_HU:
        labels, _ = ndimage.label(body & (image < threshold))
        for label in np.unique(labels[rest & (labels > 0)]):
            region = labels == label
            if _is_airway(region, image, spacing):
                lumens |= region
                rest = rest & ~region
        if not rest.any():
            break
    return lumens


def _is_airway(region: Array, image: Array, spacing: Spacing) -> bool:
    """Whether a region (rows, columns) of a slice has the area of an airway and mediastinum around it."""
    area = region.sum() * spacing[1] * spacing[2]
    if not LUMEN_AREA_MM2[0] <= area <= LUMEN_AREA_MM2[1]:
        return False
    width_mm = max(RING_MM, 2 * spacing[2])  # at least two voxels: the first is blurred by the lumen
    box = bounding_box(region[None], width_mm, spacing)
    lumen = region[None][box]
    ring = dilate(lumen, width_mm, spacing, planar=True) & ~lumen
    return bool(image[None][box][ring].mean() > RING_HU)
