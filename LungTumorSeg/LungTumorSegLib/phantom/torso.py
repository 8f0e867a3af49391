"""The trunk around the thorax: skin, fat, muscle, the organs below the diaphragm, the arms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, coverage
from .patient import Patient
from .shapes import Array, as_distance, ellipsoid, profile, smooth_max, smooth_min, smooth_noise, tube
from .thorax import AORTA_MM, LOWER_VENA_CAVA_MM, Thorax

FAT_HU, MUSCLE_HU, SKIN_HU = -100.0, 52.0, 10.0
LIVER_HU, SPLEEN_HU, KIDNEY_HU, STOMACH_HU, GAS_HU = 58.0, 48.0, 34.0, 22.0, -960.0
ENHANCED_LIVER, ENHANCED_SPLEEN, ENHANCED_KIDNEY = 0.3, 0.55, 0.8
"""Shares of the blood's enhancement that these organs take up in a chest CT's early phase."""

UNENHANCED_BLOOD_HU = 42.0
SKIN_MM, DIAPHRAGM_MM = 1.8, 3.5

MUSCLE_HALF_WIDTH_MM = ((130, 188), (90, 190), (60, 184), (30, 172), (0, 162), (-40, 154), (-80, 152), (-130, 153), (-240, 148))
MUSCLE_FRONT_MM = ((130, -38), (90, -52), (60, -74), (30, -88), (0, -98), (-40, -104), (-80, -107), (-130, -108), (-240, -106))
MUSCLE_BACK_MM = ((130, 92), (90, 104), (60, 112), (30, 115), (0, 116), (-80, 114), (-130, 111), (-240, 104))
"""(z, mm) of the muscles' outer surface, the shoulder girdle included; the skin follows outside the fat."""

ARM_MM = ((205, 20, 70, 40), (232, 28, 20, 42), (240, 25, -60, 38), (246, 10, -140, 33), (248, -5, -240, 29))
"""Rows (x, y, z, radius) of an arm that lies beside the trunk; the other one is its mirror image."""


@dataclass(frozen=True, eq=False)
class Torso:
    """Fields (z, y, x) on the coarse grid, mm, negative inside."""

    skin: Array
    muscle: Array
    planes: Array
    """Smooth noise of unit variance; muscles part along its zero surface."""


def build_torso(patient: Patient, thorax: Thorax, rng: np.random.Generator) -> Torso:
    """Evaluate skin and muscle of ``patient``."""
    x, y, z = thorax.model
    spacing = thorax.grid.spacing_mm
    muscle = smooth_max(_outline(x, y, z, spacing), -(thorax.cage - 14), 1) if False else _outline(x, y, z, spacing)
    muscle = smooth_min(muscle, thorax.cage - 17, 10) + 1.5 * smooth_noise(rng, thorax.grid.size, 5)
    back = np.clip((y - 40) / 60, 0, 1)
    fat = patient.fat_mm * (1 - 0.45 * back) * (1 + 0.15 * smooth_noise(rng, thorax.grid.size, 8))
    skin = muscle - fat
    if patient.breasts > 0:
        skin = smooth_min(skin, _breasts(x, y, z, patient), 25)
    if patient.arms == "down":
        arm = tube(np.abs(x), y, z, [row[:3] for row in ARM_MM], [row[3] for row in ARM_MM])
        skin, muscle = smooth_min(skin, arm - patient.fat_mm * 0.4, 6), smooth_min(muscle, arm, 6)
    skin = smooth_max(skin, y - (118 + 0.35 * patient.fat_mm), 12)  # the back is pressed flat by the couch
    return Torso(skin.astype(np.float32), np.maximum(muscle, skin + SKIN_MM).astype(np.float32), smooth_noise(rng, thorax.grid.size, 2.2))


def _outline(x: Array, y: Array, z: Array, spacing_mm: float) -> Array:
    half_width, front, back = (profile(z, t) for t in (MUSCLE_HALF_WIDTH_MM, MUSCLE_FRONT_MM, MUSCLE_BACK_MM))
    center, half_depth = (front + back) / 2, (back - front) / 2
    level = (np.abs(x / half_width) ** 2.4 + np.abs((y - center) / half_depth) ** 2.4 + 1e-9) ** (1 / 2.4)
    return as_distance((level - 1) * half_depth, spacing_mm)


def _breasts(x: Array, y: Array, z: Array, patient: Patient) -> Array:
    size = 0.7 + 0.5 * patient.breasts
    return ellipsoid(np.abs(x), y, z, (78, -98 - patient.fat_mm * 0.8, -45), (58 * size, 34 * size, 56 * size))


def paint_torso(canvas: Canvas, patient: Patient, thorax: Thorax, torso: Torso) -> Array:
    """Paint skin, fat and muscle, and the fat that fills the trunk's cavity; returns the body's mask on the canvas grid."""
    box = canvas.everything
    skin = canvas.sample(torso.skin, box)
    body = skin < 0
    canvas.paint(box, skin, SKIN_HU)
    canvas.paint(box, skin + SKIN_MM, FAT_HU)
    fleshy = canvas.sample(np.maximum(torso.muscle, 11 - thorax.cage), box)
    planes = np.abs(canvas.sample(torso.planes, box))
    canvas.paint(box, np.maximum(fleshy, 0.1 - planes * 8 if patient.fat_mm > 8 else fleshy), MUSCLE_HU)
    wall = canvas.sample(np.maximum(np.abs(thorax.cage - 6) - 5.5, torso.skin), box)
    canvas.paint(box, wall, MUSCLE_HU)
    return body


def paint_abdomen(canvas: Canvas, patient: Patient, thorax: Thorax, rng: np.random.Generator) -> None:
    """Diaphragm, liver, spleen, stomach with its gas bubble, kidneys, bowel gas: all below the diaphragm, inside the cage."""
    x, y, z = thorax.model
    z = z + patient.inspiration_mm
    below = smooth_max(thorax.cage + 1, -thorax.above_diaphragm, 4)
    spine = 2 - np.minimum(thorax.mediastinum, 40)
    diaphragm = np.maximum(below, -(below + DIAPHRAGM_MM))
    canvas.paint_field(np.maximum(diaphragm, -thorax.above_diaphragm - 12), MUSCLE_HU)
    hollow = smooth_max(below + DIAPHRAGM_MM * 0.6, spine, 6)
    gain = max(patient.venous_hu - UNENHANCED_BLOOD_HU, 0)
    liver = smooth_min(ellipsoid(x, y, z, (-62, -6, -165), (82, 92, 75)), ellipsoid(x, y, z, (0, -48, -140), (78, 42, 36)), 20)
    canvas.paint_field(smooth_max(hollow, liver, 6), LIVER_HU + ENHANCED_LIVER * gain)
    spleen = smooth_max(ellipsoid(x, y, z, (92, 40, -158), (34, 42, 50)), 6 - hollow * 0 + (-200.0), 1)
    canvas.paint_field(smooth_max(hollow + 1, spleen, 4), SPLEEN_HU + ENHANCED_SPLEEN * gain)
    stomach = smooth_max(ellipsoid(x, y, z, (58, -14, -160), (42, 46, 46)), 3 - spleen, 3)
    stomach = smooth_max(hollow + 2, smooth_max(stomach, 4 - liver, 3), 4)
    canvas.paint_field(stomach, MUSCLE_HU)
    canvas.paint_field(stomach + 4, STOMACH_HU)
    gas_level = -14 + rng.uniform(-30, 15)
    canvas.paint_field(np.maximum(stomach + 4, y - gas_level), GAS_HU, 1.5)
    for side in (-1, 1):
        kidney = ellipsoid(x, y, z, (side * 52, 46, -222 - 6 * (side < 0)), (26, 24, 52))
        canvas.paint_field(smooth_max(kidney, 3 - liver, 3), KIDNEY_HU + ENHANCED_KIDNEY * gain)
    for _ in range(int(rng.integers(2, 6))):
        center = (rng.uniform(40, 105), rng.uniform(-75, -45), rng.uniform(-225, -165))
        loop = smooth_max(ellipsoid(x, y, z, center, tuple(rng.uniform(12, 20, 3))), hollow + 3, 3)
        canvas.paint_field(loop, STOMACH_HU)
        canvas.paint_field(loop + 3, GAS_HU if rng.random() < 0.6 else -120.0)
    for rows, hu in ((AORTA_MM[6:], patient.blood_hu), (LOWER_VENA_CAVA_MM, patient.venous_hu)):
        table = np.asarray(rows, dtype=float)
        canvas.paint_field(tube(x, y, z - patient.inspiration_mm, table[:, :3], table[:, 3]), hu)


__all__ = ["Torso", "build_torso", "coverage", "paint_abdomen", "paint_torso"]
