"""Lung that is denser than normal but not tumor: gravity-dependent density, and pneumonia.

Both are frequent in clinical CT (dependent density: Hansell et al. 2008, Fleischner glossary,
doi:10.1148/radiol.2462070712) and look like tumor to a network that has not seen them. The lung masks include such
lung.
"""

from __future__ import annotations

import numpy as np

from .canvas import Canvas
from .patient import Patient
from .shapes import Field, ellipsoid, smooth_noise
from .thorax import Thorax

DEPENDENT_HU = (-520.0, -150.0)
"""Range of the attenuation at the lowest pleura, HU: from faint ground glass to nearly airless lung."""

DEPENDENT_MM = (15.0, 60.0)
"""Range of the distance to which the density extends upward from the lowest pleura, mm."""

PNEUMONIA_HU = (-450.0, 40.0)
"""Range of the attenuation in the middle of a patch, HU: from ground glass to consolidation."""

PNEUMONIA_RADII_MM = (12.0, 45.0)
PNEUMONIA_PATCHES = (1, 5)


def paint_haze(canvas: Canvas, patient: Patient, thorax: Thorax, rng: np.random.Generator) -> None:
    """Paint dependent density and pneumonia, if the patient has them; denser vessels stay visible.

    Args:
        canvas: The painted lungs; they are painted over in place.
        patient: Says which of them there are.
        thorax: The patient's thorax.
        rng: Draws extent and HU.
    """
    if "dependent" in patient.distractors:
        _thicken(canvas, thorax, _dependent(thorax, rng), float(rng.uniform(*DEPENDENT_HU)))
    if "pneumonia" in patient.distractors:
        for _ in range(int(rng.integers(*PNEUMONIA_PATCHES))):
            _thicken(canvas, thorax, _patch(thorax, rng), float(rng.uniform(*PNEUMONIA_HU)))
    if "ventral" in patient.distractors:
        _thicken(canvas, thorax, _dependent(thorax, rng, prone=True), float(rng.uniform(*DEPENDENT_HU)))


def _dependent(thorax: Thorax, rng: np.random.Generator, *, prone: bool = False) -> Field:
    """Return a share (z, y, x), 0 to 1, that grows toward the dorsal pleura, or the ventral one if ``prone``.

    It is higher at the base and uneven, as in patients.
    """
    _, y, z = thorax.model
    down = -y if prone else y
    lowest = np.where(thorax.lungs < 0, down, -np.inf).max(axis=1, keepdims=True)  # lung at x and z
    reach = float(rng.uniform(*DEPENDENT_MM)) * (1 + 0.35 * smooth_noise(rng, thorax.grid.size, 4))
    share = 1 - (np.where(np.isfinite(lowest), lowest, 1e3) - down) / np.maximum(reach, 1)
    return np.asarray(np.clip(share, 0, 1) * np.clip(0.75 - z / 250, 0.2, 1), np.float32)


def _patch(thorax: Thorax, rng: np.random.Generator) -> Field:
    """Return a share (z, y, x), 0 to 1: one patch with a ragged edge at a random place in a lung."""
    x, y, z = thorax.model
    inside = np.argwhere(thorax.lungs < -5)
    k, j, i = inside[rng.integers(len(inside))]
    cx, cy, cz = (float(np.broadcast_to(axis, thorax.lungs.shape)[k, j, i]) for axis in (x, y, z))
    rx, ry, rz = (float(radius) for radius in rng.uniform(*PNEUMONIA_RADII_MM, 3))
    distance = ellipsoid((x, y, z), (cx, cy, cz), (rx, ry, rz)) + 8 * smooth_noise(rng, thorax.grid.size, 1.5)
    return np.asarray(np.clip(-distance / (0.5 * min(rx, ry, rz)), 0, 1), np.float32)


def _thicken(canvas: Canvas, thorax: Thorax, share: Field, hu: float) -> None:
    """Move lung toward ``hu`` by ``share`` (z, y, x), 0 to 1; no voxel becomes less dense."""
    box = canvas.box_of(thorax.lungs)
    if box is None:
        return
    before = canvas.hu[box]
    weight = canvas.sample(share, box) * (canvas.sample(thorax.lungs, box) < 0)
    np.maximum(before, before + weight * (hu - before), out=before)
