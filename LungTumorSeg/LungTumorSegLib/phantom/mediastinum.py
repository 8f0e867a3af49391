"""Contents of the mediastinum: fat, heart chambers, great vessels, esophagus and a few lymph nodes."""

from __future__ import annotations

import numpy as np

from ..core.volume import Array
from . import thorax as anatomy
from .canvas import Canvas
from .patient import UNENHANCED_BLOOD_HU, Patient
from .shapes import Rows, capsule, ellipsoid, smooth_noise
from .thorax import Thorax, patient_tube

MEDIASTINAL_FAT_HU = -92.0
MYOCARDIUM_HU, ESOPHAGUS_HU, NODE_HU = 48.0, 38.0, 35.0
MYOCARDIAL_ENHANCEMENT = 0.35
"""Share of the blood's enhancement (HU) in the myocardium."""


def paint_mediastinum(canvas: Canvas, patient: Patient, thorax: Thorax, rng: np.random.Generator) -> None:
    """Fill the cavity between the lungs with fat, then paint the organs in it.

    Args:
        canvas: The canvas; it is painted in place.
        patient: Supplies the HU of the blood and the depth of inspiration.
        thorax: The patient's thorax.
        rng: Draws the fat's texture, swallowed air and lymph nodes.
    """
    cavity = np.minimum(thorax.cavity, np.maximum(np.maximum(thorax.mediastinum, thorax.cage), thorax.above_diaphragm))
    fat = MEDIASTINAL_FAT_HU + 8 * smooth_noise(rng, thorax.grid.size, 2)
    box = canvas.box_of(cavity)
    if box is not None:
        canvas.paint(box, canvas.sample(cavity, box), canvas.sample(fat.astype(np.float32), box))
    _paint_heart(canvas, patient, thorax)
    _paint_vessels(canvas, patient)
    esophagus = patient_tube(patient, anatomy.ESOPHAGUS_MM, 14)
    _paint_tube(canvas, esophagus, ESOPHAGUS_HU)
    if rng.random() < 0.5:  # a little swallowed air
        piece = int(rng.integers(2, 9))
        _paint_tube(canvas, esophagus[piece : piece + 3] * (1, 1, 1, 0) + (0, 0, 0, 2.2), -800.0)
    _paint_nodes(canvas, patient, rng)


def _paint_heart(canvas: Canvas, patient: Patient, thorax: Thorax) -> None:
    x, y, z = thorax.model
    z = z + patient.inspiration_mm * 0.4
    gain = max(patient.blood_hu - UNENHANCED_BLOOD_HU, 0)
    canvas.paint_field(thorax.heart, MYOCARDIUM_HU + MYOCARDIAL_ENHANCEMENT * gain)
    left_ventricle = np.maximum(ellipsoid((x, y, z), (42, -30, -84), (40, 27, 30)), thorax.heart + 9)
    right_ventricle = np.maximum(ellipsoid((x, y, z), (16, -58, -84), (42, 24, 36)), thorax.heart + 3)
    left_atrium = np.maximum(ellipsoid((x, y, z), (2, 2, -48), (31, 19, 22)), thorax.heart + 2)
    right_atrium = np.maximum(ellipsoid((x, y, z), (-20, -30, -72), (27, 31, 37)), thorax.heart + 2)
    for chamber, hu in (
        (left_ventricle, patient.blood_hu),
        (right_ventricle, patient.venous_hu),
        (right_atrium, patient.venous_hu),
        (left_atrium, patient.blood_hu),
    ):
        canvas.paint_field(chamber, hu, 3.0)


def _paint_vessels(canvas: Canvas, patient: Patient) -> None:
    arterial: tuple[Rows, ...] = (
        anatomy.AORTA_MM,
        anatomy.PULMONARY_TRUNK_MM,
        anatomy.LEFT_PULMONARY_ARTERY_MM,
        anatomy.RIGHT_PULMONARY_ARTERY_MM,
        *anatomy.BRANCH_ARTERIES_MM,
    )
    venous: tuple[Rows, ...] = (anatomy.VENA_CAVA_MM, anatomy.LOWER_VENA_CAVA_MM[:2], *anatomy.BRANCH_VEINS_MM)
    for rows in venous:
        _paint_tube(canvas, patient_tube(patient, rows, 4 * len(rows)), patient.venous_hu)
    for rows in arterial:
        _paint_tube(canvas, patient_tube(patient, rows, 4 * len(rows)), patient.blood_hu)


def _paint_tube(canvas: Canvas, rows: Array, hu: float) -> None:
    """Paint a tube through rows (x, y, z, radius), LPS mm."""
    start, end = rows[:-1], rows[1:]
    reach = np.maximum(start[:, 3], end[:, 3])
    boxes = canvas.boxes(np.minimum(start, end)[:, :3], np.maximum(start, end)[:, :3], reach + canvas.edge_mm)
    for i, box in enumerate(boxes):
        if box is not None:
            canvas.paint(
                box, capsule(canvas.points(box), start[i, :3], end[i, :3], float(start[i, 3]), float(end[i, 3])), hu
            )


def _paint_nodes(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Paint small normal lymph nodes beside the trachea, under the carina and at the hila."""
    sites = np.array(
        [(-14, 4, 22), (16, 4, 8), (0, 14, -22), (-34, 2, -10), (36, 6, -6), (4, -44, 10), (-12, 10, 44)], dtype=float
    )
    for site in sites[rng.random(len(sites)) < 0.7]:
        center = patient.to_lps(site[None] + rng.normal(0, 3, (1, 3)))[0]
        radii = rng.uniform(2.0, 5.0, 3)
        box = canvas.box(center - radii, center + radii)
        if box is not None:
            canvas.paint(box, ellipsoid(canvas.points(box), tuple(center), tuple(radii)), NODE_HU)
