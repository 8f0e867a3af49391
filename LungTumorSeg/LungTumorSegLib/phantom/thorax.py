"""The thoracic cavity: rib cage, diaphragm, mediastinum, heart and great vessels, and the lungs between them.

Everything is a field on the coarse grid, in the model's LPS mm (see patient.py): x left, y back, z head, carina at z =
0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.volume import Array
from .canvas import CoarseGrid
from .fissures import Fissure, build_fissures
from .patient import SPINE_DEPTH_MM, Patient
from .shapes import (
    Coordinates,
    Field,
    Rows,
    as_distance,
    curve,
    ellipsoid,
    merge_tube,
    profile,
    smooth_max,
    smooth_min,
    smooth_noise,
    turned_ellipsoid,
)

CAGE_HALF_WIDTH_MM = (
    (110, 50),
    (90, 64),
    (70, 81),
    (55, 92),
    (30, 110),
    (0, 121),
    (-40, 129),
    (-80, 134),
    (-120, 136),
    (-170, 134),
    (-240, 126),
)
CAGE_FRONT_MM = (
    (110, 0),
    (90, -10),
    (70, -26),
    (55, -40),
    (30, -61),
    (0, -77),
    (-40, -86),
    (-80, -91),
    (-120, -93),
    (-240, -92),
)
CAGE_BACK_MM = (
    (110, 36),
    (90, 46),
    (70, 58),
    (55, 66),
    (30, 77),
    (0, 83),
    (-40, 86),
    (-80, 86),
    (-120, 84),
    (-170, 79),
    (-240, 70),
)
"""Pairs (z, value), mm, of the parietal pleura after adult chest CT.

The three tables give half the width, the front and the back of the inside of the rib cage.
"""

CAGE_ROUNDNESS = 2.35
"""Exponent of the rib cage's superellipse; 2 is an ellipse."""

DENT_MM, DENT_WIDTH_MM = 15.0, 40.0
"""Depth and width of the spine's imprint, mm: there the cage's back lies in front of the gutters beside it."""

DOME_MM = {"right": -106.0, "left": -117.0}
"""Height of the diaphragm's domes at mean inspiration, mm; the right one is higher because of the liver."""

AORTA_MM: Rows = (
    (-6, -30, -52, 16), (-14, -36, -25, 16), (-16, -36, 2, 15), (-9, -28, 22, 14), (4, -8, 30, 13), (19, 14, 23, 13),
    (26, 29, 2, 12), (25, 33, -40, 12), (21, 31, -90, 11.5), (14, 22, -140, 11), (7, 9, -185, 10.5), (3, -2, -240, 10),
)  # fmt: skip
VENA_CAVA_MM: Rows = ((-24, -32, 48, 8), (-27, -32, 15, 9), (-29, -30, -15, 9.5), (-27, -26, -40, 10))
LOWER_VENA_CAVA_MM: Rows = ((-22, -8, -85, 11), (-26, 0, -112, 12), (-24, 4, -150, 12), (-20, 4, -240, 11))
PULMONARY_TRUNK_MM: Rows = ((18, -56, -58, 13), (19, -48, -35, 14), (16, -28, -14, 13.5), (20, -10, -8, 12.5))
LEFT_PULMONARY_ARTERY_MM: Rows = ((18, -16, -10, 12), (32, -4, -4, 11), (46, 8, -12, 9.5))
RIGHT_PULMONARY_ARTERY_MM: Rows = ((16, -18, -16, 12), (-8, -8, -20, 11.5), (-30, -6, -22, 10.5), (-46, -2, -26, 8.5))
ESOPHAGUS_MM: Rows = (
    (2, 12, 120, 6),
    (4, 20, 60, 6.5),
    (3, 24, 0, 7),
    (4, 24, -50, 7),
    (10, 14, -100, 8),
    (22, 0, -128, 9),
)
BRANCH_ARTERIES_MM: tuple[Rows, ...] = (
    ((-9, -24, 26, 7), (-16, -20, 48, 6.5), (-26, -14, 75, 5.5), (-38, -10, 120, 4)),
    ((4, -12, 34, 5), (12, -10, 60, 4.5), (20, -8, 120, 4)),
    ((14, 4, 30, 5.5), (24, 4, 60, 5), (40, -2, 88, 5), (80, -14, 92, 4.5)),
)
BRANCH_VEINS_MM: tuple[Rows, ...] = (
    ((-24, -32, 46, 8), (-30, -30, 66, 7), (-60, -32, 84, 6), (-110, -20, 84, 5.5)),
    ((-22, -36, 40, 7), (0, -42, 50, 7), (24, -38, 62, 7), (60, -32, 82, 6), (110, -20, 84, 5.5)),
    ((-4, 34, 0, 4), (-6, 33, -60, 4), (-4, 26, -150, 3)),
)
"""Rows (x, y, z, radius), mm."""

MEDIASTINAL_FAT_MM = 4.0
"""Thickness of fat and pleura between a mediastinal organ and the lung, mm."""


AIRWAYS_MM: dict[str, Rows] = {
    "trachea": ((0, -6, 130, 8.5), (0, 0, 90, 8.5), (-1, 7, 45, 8.5), (-2, 11, 15, 8.8), (-2, 12, 0, 9.0)),
    "right": ((-2, 12, 0, 7.5), (-18, 13, -16, 6.8), (-34, 12, -28, 6.0)),
    "left": ((-2, 12, 0, 6.8), (18, 13, -15, 5.8), (34, 15, -25, 5.4), (44, 16, -33, 5.0)),
}
"""Rows (x, y, z, lumen radius), mm, of the trachea and the main bronchi; the right one is wider and steeper."""

SEAM_MM = 9.0
"""Width over which the parts of the mediastinum merge, mm: fat fills the angles between them."""


def airways_lps(patient: Patient) -> dict[str, Array]:
    """Return the trachea and the main bronchi of a patient.

    Args:
        patient: The patient.

    Returns:
        "trachea", "right" and "left", each with rows (n, 4): x, y, z and the radius of the lumen, LPS mm.
    """
    return {name: patient_tube(patient, rows, 5 * len(rows)) for name, rows in AIRWAYS_MM.items()}


def patient_tube(patient: Patient, rows: Rows, count: int) -> Array:
    """Convert a tube of the model chest to a smooth tube of a patient.

    Args:
        patient: The patient.
        rows: The tube in the model chest.
        count: Number of rows to return.

    Returns:
        Rows (count, 4): x, y, z and radius, LPS mm.
    """
    smooth = curve(np.asarray(rows, dtype=float), count)
    return np.column_stack([patient.to_lps(smooth[:, :3]), smooth[:, 3] * np.mean(patient.scale)])


@dataclass(frozen=True, eq=False)
class Thorax:
    """Fields of the thorax: arrays (z, y, x) on the coarse grid, mm, negative inside.

    Attributes:
        grid: The coarse grid.
        model: Model coordinates x, y, z of the grid points.
        cage: Inside of the rib cage, unbounded above and below.
        above_diaphragm: Negative above the diaphragm.
        cavity: The cage between cupolas and diaphragm: both lungs and the mediastinum between them.
        heart: The heart.
        mediastinum: Everything between the lungs, spine included.
        left_lung: The patient's left lung.
        right_lung: The patient's right lung.
        fissures: The right oblique, the left oblique and the right horizontal fissure, then accessory ones.
    """

    grid: CoarseGrid
    model: Coordinates
    cage: Field
    above_diaphragm: Field
    cavity: Field
    heart: Field
    mediastinum: Field
    left_lung: Field
    right_lung: Field
    fissures: tuple[Fissure, ...]

    @property
    def lungs(self) -> Field:
        """Union of both lungs, mm, negative inside."""
        return np.minimum(self.left_lung, self.right_lung)


def build_thorax(patient: Patient, grid: CoarseGrid, rng: np.random.Generator) -> Thorax:
    """Evaluate the thorax of a patient.

    Args:
        patient: The patient.
        grid: The coarse grid.
        rng: Makes the surfaces slightly irregular.

    Returns:
        Its fields on the grid.
    """
    x, y, z = patient.to_model(*grid.axes())
    cage: Field = _cage(x, y, z, grid.spacing_mm) + 1.2 * smooth_noise(rng, grid.size, 5)
    diaphragm: Field = _above_diaphragm(x, y, z, patient, grid.spacing_mm) + 2.0 * smooth_noise(rng, grid.size, 7)
    heart: Field = _heart(x, y, z, patient)
    mediastinum: Field = _mediastinum(x, y, z, heart) + 1.0 * smooth_noise(rng, grid.size, 4)
    cavity: Field = smooth_max(_with_cupolas(x, y, z, cage), diaphragm, 2)
    hollow = smooth_max(cavity, MEDIASTINAL_FAT_MM * 0.5 - mediastinum, 8)
    fields = (cage, diaphragm, cavity, heart, mediastinum, np.maximum(hollow, 1.5 - x), np.maximum(hollow, 1.5 + x))
    cage, diaphragm, cavity, heart, mediastinum, left, right = (f.astype(np.float32) for f in fields)
    fissures = build_fissures(patient, (x, y, z), right, left, rng)
    return Thorax(grid, (x, y, z), cage, diaphragm, cavity, heart, mediastinum, left, right, fissures)


def cage_section(z: Array) -> tuple[Array, Array, Array]:
    """Return the horizontal section of the rib cage.

    Args:
        z: Heights in the model chest, mm, in any shape.

    Returns:
        Half width, y of the center, and half depth, mm, each in the shape of ``z``.
    """
    front, back = profile(z, CAGE_FRONT_MM), profile(z, CAGE_BACK_MM)
    return profile(z, CAGE_HALF_WIDTH_MM), (front + back) / 2, (back - front) / 2


def cage_dent(x: Array, backward: Array) -> Array:
    """Return how far the spine pushes the back of the rib cage forward.

    Args:
        x: Distance from the midline in the model chest, mm.
        backward: Share of the way from the center to the back, 0 to 1, broadcastable.

    Returns:
        Distances, mm, in the common shape.
    """
    return np.asarray(DENT_MM * np.exp(-((x / DENT_WIDTH_MM) ** 2)) * np.clip(backward, 0, 1.5))


def _cage(x: Array, y: Array, z: Array, spacing_mm: float) -> Field:
    half_width, center, half_depth = cage_section(z)
    y = y + cage_dent(x, (y - center) / half_depth)
    level = (np.abs(x / half_width) ** CAGE_ROUNDNESS + np.abs((y - center) / half_depth) ** CAGE_ROUNDNESS + 1e-9) ** (
        1 / CAGE_ROUNDNESS
    )
    return as_distance((level - 1) * np.minimum(half_width, half_depth), spacing_mm)


def _with_cupolas(x: Array, y: Array, z: Array, cage: Field) -> Field:
    """Close the cage above with one cupola on each side, which rises over the first rib."""
    side = np.abs(x)
    cupola = ellipsoid((side, y, z), (47, 16, 45), (41, 44, 46))
    return smooth_min(cupola, smooth_max(cage, z - 45, 30), 12)


def _above_diaphragm(x: Array, y: Array, z: Array, patient: Patient, spacing_mm: float) -> Field:
    side = np.abs(x)
    away = (
        np.where(side > 62, (side - 62) / 71, (side - 62) / 115) ** 2
        + np.where(y > -8, (y + 8) / 89, (y + 8) / 88) ** 2
    )
    drop = profile(y, ((-95, 30), (-40, 60), (0, 76), (50, 94), (90, 102)))
    toward_left = 1 / (1 + np.exp(-x / 12))
    top = DOME_MM["right"] + toward_left * (DOME_MM["left"] - DOME_MM["right"]) - patient.inspiration_mm
    away = np.clip(away, 0, 0.995)
    surface = top - drop * (0.4 * away + 0.6 * (1 - np.sqrt(1 - away)))  # a mixture of a paraboloid and an ellipsoid
    # In front of the heart it is attached to the xiphoid.
    surface = surface + 28 * np.exp(-((x / 42) ** 2)) * np.clip((-20 - y) / 50, 0, 1)
    return as_distance(surface - z, spacing_mm)


def _heart(x: Array, y: Array, z: Array, patient: Patient) -> Field:
    """Return the field of the heart.

    The ventricles lie along an axis toward left, front and foot. The left atrium lies in front of the spine.
    """
    z = z + patient.inspiration_mm * 0.4
    size = patient.heart_scale
    long_axis = np.array([0.74, -0.45, -0.50])
    long_axis /= np.linalg.norm(long_axis)
    across = np.cross(long_axis, [0, 0, 1.0])
    across /= np.linalg.norm(across)
    axes = np.stack([long_axis, across, np.cross(long_axis, across)])
    ventricles = turned_ellipsoid((x, y, z), (30, -34, -80), (60 * size, 46 * size, 44 * size), axes)
    right_atrium = ellipsoid((x, y, z), (-18, -30, -72), (28 * size, 32 * size, 38 * size))
    left_atrium = ellipsoid((x, y, z), (2, 2, -48), (32 * size, 20 * size, 23 * size))
    return smooth_min(smooth_min(ventricles, right_atrium, 20), left_atrium, 14)


def _mediastinum(x: Array, y: Array, z: Array, heart: Field) -> Field:
    """Return the field of the mediastinum.

    It contains heart, vessels, airways, esophagus and spine in their fat, and the midline septum that separates the
    lungs.
    """
    fat, whole = MEDIASTINAL_FAT_MM, np.asarray(heart - MEDIASTINAL_FAT_MM)
    septum = np.abs(x - 2) - profile(y, ((-95, 9), (-70, 5), (-55, 7), (-30, 16), (20, 16), (60, 4)))
    whole = smooth_min(whole, np.maximum(septum, np.maximum(y - 45, -z - 125)), SEAM_MM)
    whole = smooth_min(whole, spine_sleeve(x, y, z), SEAM_MM)
    vessels: tuple[Rows, ...] = (
        AORTA_MM,
        VENA_CAVA_MM,
        LOWER_VENA_CAVA_MM,
        PULMONARY_TRUNK_MM,
        RIGHT_PULMONARY_ARTERY_MM[:3],
        LEFT_PULMONARY_ARTERY_MM[:2],
    )
    for rows in (*vessels, ESOPHAGUS_MM, *BRANCH_ARTERIES_MM, *BRANCH_VEINS_MM):
        table = np.asarray(rows, dtype=float)
        merge_tube(whole, (x, y, z), table[:, :3], table[:, 3] + fat * 0.7, SEAM_MM, farthest_mm=15.0)
    for name, last in (("trachea", 5), ("right", 2), ("left", 2)):
        table = np.asarray(AIRWAYS_MM[name], dtype=float)[:last]
        merge_tube(whole, (x, y, z), table[:, :3], table[:, 3] + 1 + fat, SEAM_MM, farthest_mm=15.0)
    return whole


def spine_sleeve(x: Array, y: Array, z: Array) -> Field:
    """Return the vertebral bodies and arches with the tissue that covers them, as one column.

    Args:
        x: Model coordinates, mm; the three arrays broadcast against each other.
        y: Model coordinates, mm.
        z: Model coordinates, mm.

    Returns:
        Signed distance, mm, negative inside.
    """
    depth = profile(z, SPINE_DEPTH_MM)
    body = np.sqrt((x / 20) ** 2 + ((y - depth) / 19) ** 2) * 19.5 - 19.5
    arch = np.sqrt((x / 37) ** 2 + ((y - depth - 40) / 24) ** 2) * 30 - 30
    return smooth_min(body, arch, 12)
