"""Disease that is not tumor: pleural effusion, lobar atelectasis and scars, which networks must learn not to mark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas
from .patient import UNENHANCED_BLOOD_HU, Patient
from .shapes import Field, smooth_max, smooth_noise
from .thorax import Thorax
from .trees import targets_in

EFFUSION_HU = (2.0, 22.0)
EFFUSION_MM = (12.0, 110.0)
"""Range of the fluid's depth at the base, mm, drawn log-uniformly: from a thin film to a filled hemithorax."""

COLLAPSED_HU = (35.0, 55.0)
COLLAPSE_ENHANCEMENT = 0.4
"""Share of the blood's enhancement (HU) that airless lung shows."""

COMPRESSED_MM = (4.0, 16.0)
"""Range of the thickness of the airless lung in front of an effusion, mm."""

OVERLAP_MM = 1.5
"""Distance by which disease is painted beyond the lung's edge, mm."""

SCAR_HU = (-350.0, 20.0)
SCAR_HALF_THICKNESS_MM, SCAR_LENGTH_MM = (0.5, 1.6), (12.0, 50.0)
CAP_HU, CAP_MM = 0.0, (2.0, 7.0)
"""HU and range of thickness (mm) of an apical cap: a scar under the pleura of the lung apex."""


@dataclass(frozen=True, eq=False)
class Disease:
    """One airless region; its voxels do not count as aerated lung.

    Attributes:
        level: A coarse field (z, y, x), mm, negative inside.
        hu: HU of the region.
    """

    level: Field
    hu: float


def build_disease(patient: Patient, thorax: Thorax, rng: np.random.Generator) -> list[Disease]:
    """Build the airless regions (atelectasis and effusion) of a patient.

    Args:
        patient: Says which diseases there are.
        thorax: The patient's thorax.
        rng: Draws side, extent and HU.

    Returns:
        The regions in the order in which they are painted.
    """
    found: list[Disease] = []
    for name, build in (("collapse", _collapse), ("effusion", _effusion)):
        if name in patient.distractors:
            found += build(patient, thorax, rng)
    return found


def airless_field(diseases: list[Disease], thorax: Thorax) -> Field:
    """Return the union of all airless regions (z, y, x), mm, negative inside."""
    level = np.full(thorax.grid.size, 1e3, np.float32)
    for disease in diseases:
        np.minimum(level, disease.level, out=level)
    return level


def _either_lung(thorax: Thorax, rng: np.random.Generator) -> tuple[Field, float]:
    """Draw a lung: its field, and the sign of its side, 1 for the left and -1 for the right."""
    return (thorax.left_lung, 1.0) if rng.random() < 0.5 else (thorax.right_lung, -1.0)


def _airless_hu(patient: Patient, rng: np.random.Generator) -> float:
    gain = max(patient.blood_hu - UNENHANCED_BLOOD_HU, 0)
    return float(rng.uniform(*COLLAPSED_HU)) + COLLAPSE_ENHANCEMENT * gain


def _effusion(patient: Patient, thorax: Thorax, rng: np.random.Generator) -> list[Disease]:
    """Build a crescent of fluid along the back of the pleural space, deepest at the base, behind compressed lung."""
    lung, _ = _either_lung(thorax, rng)
    _, y, z = thorax.model
    depth = float(np.exp(rng.uniform(*np.log(EFFUSION_MM))))
    at_height = depth * np.clip((70 - z) / 200, 0.0, 1) - 2
    here = at_height * np.clip((y + 45) / 100, 0, 1) + 1.5 * smooth_noise(rng, thorax.grid.size, 5)
    fluid = -thorax.cage - here
    compressed = fluid - float(rng.uniform(*COMPRESSED_MM)) * np.clip(here / 20, 0, 1)
    return [
        _cut_to_lung(lung, compressed, _airless_hu(patient, rng)),
        _cut_to_lung(lung, fluid, float(rng.uniform(*EFFUSION_HU))),
    ]


def _collapse(patient: Patient, thorax: Thorax, rng: np.random.Generator) -> list[Disease]:
    """Build a lobe that has shrunk to a wedge.

    The lower lobe shrinks toward the spine and the diaphragm, the upper lobe toward the anterior mediastinum.
    """
    lung, side = _either_lung(thorax, rng)
    x, y, z = thorax.model
    extent = float(rng.uniform(-6, 28))
    bow = 4 * smooth_noise(rng, thorax.grid.size, 6)
    if rng.random() < 0.7:
        wedge = 0.62 * (side * x - 42) - 0.75 * (y - 34) + 0.25 * (z + 40) - extent
        wedge = smooth_max(wedge, z + 8 - extent * 0.3, 12)
    else:
        wedge = 0.75 * (side * x - 38) + 0.62 * (y + 42) - 0.15 * (z - 10) - extent
        wedge = smooth_max(wedge, -25 - z, 12)
    return [_cut_to_lung(lung, wedge + bow, _airless_hu(patient, rng))]


def _cut_to_lung(lung: Field, level: Field, hu: float) -> Disease:
    """Cut a field (mm) to a lung, up to its very edge, so that no film of air remains at the chest wall."""
    return Disease(smooth_max(level, lung - OVERLAP_MM, 2).astype(np.float32), hu)


def paint_disease(
    canvas: Canvas, patient: Patient, thorax: Thorax, diseases: list[Disease], rng: np.random.Generator
) -> None:
    """Paint the airless regions, and scars if the patient has them; scarred lung still counts as lung.

    Args:
        canvas: The canvas; it is painted in place.
        patient: Says whether there are scars.
        thorax: The patient's thorax.
        diseases: The airless regions, in painting order.
        rng: Draws number, place, size and HU of the scars.
    """
    for disease in diseases:
        canvas.paint_field(disease.level, disease.hu)
    if "scars" not in patient.distractors:
        return
    for _ in range(int(rng.integers(2, 7))):
        _paint_band(canvas, thorax, rng)
    if rng.random() < 0.5:
        _, _, z = thorax.model
        thickness = float(rng.uniform(*CAP_MM)) + 1.5 * smooth_noise(rng, thorax.grid.size, 2)
        cap = np.maximum(np.maximum(thorax.lungs - OVERLAP_MM, -thorax.lungs - thickness), 62 - z)
        canvas.paint_field(cap.astype(np.float32), CAP_HU)


def _paint_band(canvas: Canvas, thorax: Thorax, rng: np.random.Generator) -> None:
    """Paint a thin plate in a random direction that starts near the pleura and tapers toward its ends."""
    start = targets_in(np.maximum(thorax.lungs, -thorax.lungs - 8), thorax.grid, 1, 0.0, rng)
    if len(start) == 0:
        return
    frame = np.linalg.qr(rng.normal(size=(3, 3)))[0].astype(np.float32)
    length, width = float(rng.uniform(*SCAR_LENGTH_MM)), float(rng.uniform(4, 18))
    thickness = float(rng.uniform(*SCAR_HALF_THICKNESS_MM))
    box = canvas.box(start[0] - length, start[0] + length)
    if box is None:
        return
    x, y, z = (p - np.float32(c) for p, c in zip(canvas.points(box), start[0], strict=True))
    u, v, w = (row[0] * x + row[1] * y + row[2] * z for row in frame)
    share = np.clip(np.abs(u) / length, 0, 1)
    plate = np.maximum(
        np.maximum(np.abs(w) - thickness * (1 - share), np.abs(v) - width * (1 - share)), np.abs(u) - length
    )
    canvas.paint(box, np.maximum(plate, canvas.sample(thorax.lungs, box) - OVERLAP_MM), float(rng.uniform(*SCAR_HU)))
