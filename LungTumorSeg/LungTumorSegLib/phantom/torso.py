"""The trunk around the thorax: skin, fat, muscle groups and arms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.volume import Array
from .canvas import Canvas
from .patient import SPINE_DEPTH_MM, Patient
from .shapes import Field, as_distance, ellipsoid, merge_tube, profile, smooth_max, smooth_min, smooth_noise, tube
from .thorax import Thorax

FAT_HU, MUSCLE_HU, SKIN_HU = -102.0, 54.0, 10.0
FAT_STRANDS_HU, MUSCLE_GRAIN_HU = 9.0, 7.0
"""Standard deviation of the slow variation within fat and within muscle, HU."""

SKIN_MM = 1.8
CHEST_WALL_MM = 10.0
"""Thickness of intercostal muscles and pleura around the lung, mm; the ribs lie within."""

LEAST_FAT_MM = 3.0

ENVELOPE_HALF_WIDTH_MM = (
    (130, 188),
    (90, 188),
    (60, 182),
    (30, 171),
    (0, 161),
    (-40, 154),
    (-80, 152),
    (-130, 153),
    (-240, 148),
)
ENVELOPE_FRONT_MM = (
    (130, -38),
    (90, -52),
    (60, -72),
    (30, -88),
    (0, -99),
    (-40, -105),
    (-80, -108),
    (-130, -109),
    (-240, -106),
)
ENVELOPE_BACK_MM = ((130, 92), (90, 104), (60, 112), (30, 115), (0, 116), (-80, 114), (-130, 111), (-240, 104))
"""Pairs (z, value), mm, of the surface that just encloses all muscles, the shoulder girdle included.

The three tables give half the width, the front and the back. The subcutaneous fat lies on this surface.
"""

ARM_MM = ((205, 20, 70, 40), (232, 28, 20, 42), (240, 25, -60, 38), (246, 10, -140, 33), (248, -5, -240, 29))
"""Rows (x, y, z, radius), mm, of an arm beside the trunk; the other arm is its mirror image."""


@dataclass(frozen=True, eq=False)
class Torso:
    """Coarse fields (z, y, x) of the trunk.

    Attributes:
        skin: Signed distance of the skin, mm, negative inside.
        muscle: Signed distance of the muscles, mm, negative inside.
        grain: Smooth noise of unit variance that makes fat and muscle uneven.
    """

    skin: Field
    muscle: Field
    grain: Field


def build_torso(patient: Patient, thorax: Thorax, rng: np.random.Generator) -> Torso:
    """Evaluate the skin and the muscles of a patient.

    Args:
        patient: Supplies fat, breasts and the posture of the arms.
        thorax: The patient's thorax.
        rng: Makes the surfaces slightly irregular.

    Returns:
        The fields on the grid of ``thorax``.
    """
    x, y, z = thorax.model
    size = thorax.grid.size
    envelope = smooth_min(_envelope(x, y, z, thorax.grid.spacing_mm), thorax.cage - 17, 10) + 1.5 * smooth_noise(
        rng, size, 5
    )
    muscle = np.maximum(_muscles(x, y, z, thorax, patient) + 1.2 * smooth_noise(rng, size, 2.5), envelope)
    back = np.clip((y - 40) / 60, 0, 1)
    skin = envelope - np.maximum(
        patient.fat_mm * (1 - 0.45 * back) * (1 + 0.15 * smooth_noise(rng, size, 8)), LEAST_FAT_MM
    )
    if patient.breasts > 0:
        skin = smooth_min(skin, _breasts(x, y, z, patient), 25)
    if patient.arms == "down":
        arm = tube((np.abs(x), y, z), [row[:3] for row in ARM_MM], [row[3] for row in ARM_MM])
        skin, muscle = (
            smooth_min(skin, arm - np.maximum(patient.fat_mm * 0.4, LEAST_FAT_MM), 6),
            smooth_min(muscle, arm, 6),
        )
    skin = smooth_max(skin, y - (118 + 0.35 * patient.fat_mm), 12)  # the couch presses the back flat
    muscle = np.maximum(muscle, skin + LEAST_FAT_MM)
    return Torso(skin.astype(np.float32), muscle.astype(np.float32), smooth_noise(rng, size, 1.5))


def _envelope(x: Array, y: Array, z: Array, spacing_mm: float) -> Field:
    half_width, front, back = (profile(z, t) for t in (ENVELOPE_HALF_WIDTH_MM, ENVELOPE_FRONT_MM, ENVELOPE_BACK_MM))
    center, half_depth = (front + back) / 2, (back - front) / 2
    level = (np.abs(x / half_width) ** 2.4 + np.abs((y - center) / half_depth) ** 2.4 + 1e-9) ** (1 / 2.4)
    return as_distance((level - 1) * half_depth, spacing_mm)


def _muscles(x: Array, y: Array, z: Array, thorax: Thorax, patient: Patient) -> Field:
    """Return the field of the muscles; the rest of the envelope is fat.

    The muscles are the chest wall, pectoral, scapular and back muscles, neck and abdominal wall.
    """
    side, outward = np.abs(x), thorax.cage
    strength = 1.25 - 0.35 * patient.breasts
    belly = 8 / (1 + np.exp((z + 105) / 9))
    muscles = outward - CHEST_WALL_MM - belly
    pectoral = smooth_max(
        np.abs(outward - 20) - 8 * strength, np.maximum(np.maximum(y + 22, 10 - side), np.abs(z - 18) - 62), 14
    )
    scapular = smooth_max(
        np.abs(outward - 27) - 15, np.maximum(np.maximum(2 - y, 58 - side), np.maximum(z - 95, -88 - z)), 16
    )
    latissimus = smooth_max(
        np.abs(outward - 19) - 5.0, np.maximum(np.maximum(-22 - y, 45 - side), np.maximum(z - 20, -190 - z)), 10
    )
    for group in (pectoral, scapular, latissimus):
        muscles = smooth_min(muscles, group, 5)
    depth = float(profile(np.zeros(1), SPINE_DEPTH_MM)[0])
    back = [
        (30, depth + 26, 130),
        (31, depth + 45, 60),
        (32, depth + 46, 0),
        (33, depth + 44, -80),
        (36, depth + 28, -240),
    ]
    merge_tube(muscles, (side, y, z), back, (17, 18, 19, 21, 25), 12)
    merge_tube(muscles, (side, y, z), [(110, 40, 96), (168, 22, 78)], (26, 40), 12)  # deltoid and supraspinatus
    neck_and_trapezius = [(25, 30, 170), (30, 32, 118), (62, 46, 84)]
    merge_tube(muscles, (side, y, z), neck_and_trapezius, (34, 32, 20), 12)
    return np.asarray(muscles)


def _breasts(x: Array, y: Array, z: Array, patient: Patient) -> Field:
    size = 0.7 + 0.5 * patient.breasts
    return ellipsoid((np.abs(x), y, z), (78, -98 - patient.fat_mm * 0.8, -45), (58 * size, 34 * size, 56 * size))


def paint_torso(canvas: Canvas, torso: Torso) -> None:
    """Paint skin, fat and muscle into the canvas.

    The inside of the rib cage is filled with muscle; its organs are painted over it later.
    """
    box = canvas.box_of(torso.skin)
    if box is None:
        return
    skin, grain = canvas.sample(torso.skin, box), canvas.sample(torso.grain, box)
    canvas.paint(box, skin, SKIN_HU)
    skin += np.float32(SKIN_MM)
    canvas.paint(box, skin, grain * np.float32(FAT_STRANDS_HU) + np.float32(FAT_HU))
    grain *= np.float32(MUSCLE_GRAIN_HU)
    grain += np.float32(MUSCLE_HU)
    canvas.paint(box, canvas.sample(torso.muscle, box), grain)
