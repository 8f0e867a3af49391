"""Organs below the diaphragm that a chest CT shows: liver, spleen, stomach with its gas bubble, kidneys and bowel."""

from __future__ import annotations

import numpy as np

from ..core.volume import Array
from .canvas import Canvas
from .patient import UNENHANCED_BLOOD_HU, Patient
from .shapes import Field, ellipsoid, smooth_max, smooth_min, tube
from .thorax import AORTA_MM, LOWER_VENA_CAVA_MM, Thorax, spine_sleeve
from .torso import FAT_HU, MUSCLE_HU

LIVER_HU, SPLEEN_HU, KIDNEY_HU, CONTENT_HU, GAS_HU = 58.0, 48.0, 34.0, 22.0, -960.0
LIVER_ENHANCEMENT, SPLEEN_ENHANCEMENT, KIDNEY_ENHANCEMENT = 0.3, 0.55, 0.8
"""Share of the blood's enhancement (HU) that each organ takes up in the early phase of a chest CT."""

DIAPHRAGM_MM, STOMACH_WALL_MM = 3.5, 4.0


def paint_abdomen(canvas: Canvas, patient: Patient, thorax: Thorax, rng: np.random.Generator) -> None:
    """Paint the diaphragm and everything below it inside the rib cage.

    Args:
        canvas: The canvas; it is painted in place.
        patient: Supplies the HU of the blood and the depth of inspiration.
        thorax: Supplies the rib cage, the diaphragm and the model coordinates.
        rng: Draws the bowel loops and the gas levels.
    """
    x, y, z = thorax.model
    gain = max(patient.venous_hu - UNENHANCED_BLOOD_HU, 0)
    below = smooth_max(thorax.cage + 1, -thorax.above_diaphragm, 4)
    hollow = smooth_max(below + DIAPHRAGM_MM, -spine_sleeve(x, y, z), 6)
    canvas.paint_field(below, MUSCLE_HU)
    canvas.paint_field(hollow, FAT_HU)
    _paint_great_vessels(canvas, patient, thorax)
    z = z + patient.inspiration_mm
    liver = smooth_min(
        ellipsoid((x, y, z), (-62, -4, -168), (88, 94, 80)), ellipsoid((x, y, z), (0, -48, -142), (80, 44, 38)), 20
    )
    liver = smooth_max(smooth_max(hollow, liver, 5), 5 - _aorta(thorax), 4)
    spleen = smooth_max(hollow + 1, ellipsoid((x, y, z), (92, 42, -160), (36, 42, 52)), 4)
    stomach = smooth_max(ellipsoid((x, y, z), (60, -12, -160), (46, 48, 50)), 3 - spleen, 4)
    stomach = smooth_max(smooth_max(hollow + 1, stomach, 4), 4 - liver, 4)
    canvas.paint_field(spleen, SPLEEN_HU + SPLEEN_ENHANCEMENT * gain)
    _paint_hollow_organ(canvas, stomach, y, float(rng.uniform(-40, 10)))
    for _ in range(int(rng.integers(3, 8))):
        center = (float(rng.uniform(-20, 110)), float(rng.uniform(-80, -40)), float(rng.uniform(-235, -175)))
        radii = tuple(rng.uniform(11, 20, 3))
        loop = smooth_max(ellipsoid((x, y, z), center, (radii[0], radii[1], radii[2])), hollow + 3, 3)
        loop = np.maximum(np.maximum(loop, 3 - stomach), np.maximum(3 - liver, 3 - spleen))
        _paint_hollow_organ(canvas, loop, y, center[1] + float(rng.uniform(-15, 8)))
    for side in (-1, 1):
        kidney = ellipsoid((x, y, z), (side * 54, 42, -222 - 8 * (side < 0)), (27, 24, 54))
        canvas.paint_field(smooth_max(kidney, hollow + 6, 3), KIDNEY_HU + KIDNEY_ENHANCEMENT * gain)
    canvas.paint_field(liver, LIVER_HU + LIVER_ENHANCEMENT * gain)
    canvas.paint_field(np.maximum(_cava(thorax), liver), patient.venous_hu)


def _paint_hollow_organ(canvas: Canvas, organ: Field, y: Array, gas_level: float) -> None:
    """Paint a wall, its content, and gas in front of a level surface, because the patient lies on the back."""
    canvas.paint_field(organ, MUSCLE_HU)
    canvas.paint_field(organ + STOMACH_WALL_MM, CONTENT_HU)
    canvas.paint_field(np.maximum(organ + STOMACH_WALL_MM, y - gas_level), GAS_HU)


def _paint_great_vessels(canvas: Canvas, patient: Patient, thorax: Thorax) -> None:
    canvas.paint_field(_aorta(thorax), patient.blood_hu)
    canvas.paint_field(_cava(thorax), patient.venous_hu)


def _aorta(thorax: Thorax) -> Field:
    rows = np.asarray(AORTA_MM[6:], dtype=float)
    return tube(thorax.model, rows[:, :3], rows[:, 3])


def _cava(thorax: Thorax) -> Field:
    rows = np.asarray(LOWER_VENA_CAVA_MM, dtype=float)
    return tube(thorax.model, rows[:, :3], rows[:, 3])
