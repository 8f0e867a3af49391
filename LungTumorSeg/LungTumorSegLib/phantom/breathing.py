"""The artifact of a patient who breathed during the scan, as in the CT of a PET-CT.

The diaphragm rises and falls while the table moves, so successive slices show it at different heights: the dome has
steps or appears twice (Sureshbabu and Mawlawi, J Nucl Med Technol 33:156, 2005).
"""

from __future__ import annotations

import numpy as np

from ..core.volume import Array
from .canvas import Canvas
from .patient import Patient
from .thorax import DOME_MM

AMPLITUDE_MM = (4.0, 12.0)
"""Range of half the distance between the highest and the lowest position of the diaphragm, mm."""

PERIOD_MM = (20.0, 60.0)
"""Range of the distance by which the table moves during one breath, mm."""

REACH_MM = 45.0
"""Standard deviation of the motion's decline with the distance from the dome, mm; the apices hardly move."""


def breathe(canvas: Canvas, lungs: Array, patient: Patient, rng: np.random.Generator) -> None:
    """Show each slice of a painted patient at the height that breathing gives it.

    Args:
        canvas: The painted patient; its HU are changed in place.
        lungs: Labels of the lungs (slice, row, column) on the canvas's grid, which follow in place.
        patient: The patient; lesions that are painted later do not move.
        rng: Draws depth, rate and phase of the breath.
    """
    amplitude, period, phase = rng.uniform(*AMPLITUDE_MM), rng.uniform(*PERIOD_MM), rng.uniform(0, 2 * np.pi)
    slices, rows, columns = canvas.grid.shape
    middle = [(k, rows / 2, columns / 2) for k in range(slices)]
    z = canvas.grid.index_to_lps(middle)[:, 2]
    dome = (DOME_MM["right"] - patient.inspiration_mm) * patient.scale[2]
    motion_mm = amplitude * np.exp(-0.5 * ((z - dome) / REACH_MM) ** 2) * np.sin(2 * np.pi * z / period + phase)
    seen = np.clip(np.arange(slices) + motion_mm / canvas.grid.spacing[0], 0, slices - 1)
    below = np.floor(seen).astype(int)
    above = np.minimum(below + 1, slices - 1)
    weight = (seen - below).astype(np.float32)[:, None, None]
    canvas.hu[:] = (1 - weight) * canvas.hu[below] + weight * canvas.hu[above]
    lungs[:] = lungs[np.rint(seen).astype(int)]
