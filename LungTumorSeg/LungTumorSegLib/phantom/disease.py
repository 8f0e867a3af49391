"""Disease that is not tumor: pleural effusion, lobar collapse, scars. Networks must learn to leave it alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas
from .patient import UNENHANCED_BLOOD_HU, Patient
from .shapes import Array, smooth_max, smooth_noise
from .thorax import Thorax
from .trees import targets_in

EFFUSION_HU = (2.0, 22.0)
EFFUSION_MM = (12.0, 110.0)
"""Depth of the fluid at the base, log-uniform: from a film to a filled half chest."""

COLLAPSED_HU = (35.0, 55.0)
COLLAPSE_ENHANCEMENT = 0.4
"""Share of the blood's enhancement that airless lung shows."""

COMPRESSED_MM = (4.0, 16.0)
"""Thickness of the airless lung before an effusion."""

OVERLAP_MM = 1.5
"""How far disease is painted over the lung's edge."""

SCAR_HU = (-350.0, 20.0)
SCAR_HALF_THICKNESS_MM, SCAR_LENGTH_MM = (0.5, 1.6), (12.0, 50.0)
CAP_HU, CAP_MM = 0.0, (2.0, 7.0)
"""HU and thickness of an apical cap: a scar under the pleura of the lung's top."""


@dataclass(frozen=True, eq=False)
class Disease:
    """A coarse field (mm, negative inside) and its HU; its voxels are no aerated lung."""

    level: Array
    hu: float


def build_disease(patient: Patient, thorax: Thorax, rng: np.random.Generator) -> list[Disease]:
    """The airless regions of ``patient``, in the order in which they are painted."""
    found: list[Disease] = []
    for name, build in (("collapse", _collapse), ("effusion", _effusion)):
        if name in patient.distractors:
            found += build(patient, thorax, rng)
    return found


def airless(diseases: list[Disease], thorax: Thorax) -> Array:
    """The coarse field of all airless regions together."""
    level = np.full(thorax.grid.size, 1e3, np.float32)
    for disease in diseases:
        np.minimum(level, disease.level, out=level)
    return level


def _either_lung(thorax: Thorax, rng: np.random.Generator) -> tuple[Array, float]:
    return (thorax.left_lung, 1.0) if rng.random() < 0.5 else (thorax.right_lung, -1.0)


def _airless_hu(patient: Patient, rng: np.random.Generator) -> float:
    gain = max(patient.blood_hu - UNENHANCED_BLOOD_HU, 0)
    return float(rng.uniform(*COLLAPSED_HU)) + COLLAPSE_ENHANCEMENT * gain


def _effusion(patient: Patient, thorax: Thorax, rng: np.random.Generator) -> list[Disease]:
    """A crescent along the back of the pleural space, deepest at the base, with compressed lung before it."""
    lung, _ = _either_lung(thorax, rng)
    _, y, z = thorax.model
    depth = float(np.exp(rng.uniform(*np.log(EFFUSION_MM))))
    at_height = depth * np.clip((70 - z) / 200, 0.0, 1) - 2
    here = at_height * np.clip((y + 45) / 100, 0, 1) + 1.5 * smooth_noise(rng, thorax.grid.size, 5)
    fluid = -thorax.cage - here
    compressed = fluid - float(rng.uniform(*COMPRESSED_MM)) * np.clip(here / 20, 0, 1)
    return [
        _within(lung, compressed, _airless_hu(patient, rng)),
        _within(lung, fluid, float(rng.uniform(*EFFUSION_HU))),
    ]


def _collapse(patient: Patient, thorax: Thorax, rng: np.random.Generator) -> list[Disease]:
    """A lobe shrunk to a wedge: the lower one toward the spine and the diaphragm, the upper one toward the front mediastinum."""
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
    return [_within(lung, wedge + bow, _airless_hu(patient, rng))]


def _within(lung: Array, level: Array, hu: float) -> Disease:
    """The part of a field that lies in a lung, up to its very edge, so that no film of air remains before the chest wall."""
    return Disease(smooth_max(level, lung - OVERLAP_MM, 2).astype(np.float32), hu)


def paint_disease(
    canvas: Canvas, patient: Patient, thorax: Thorax, diseases: list[Disease], rng: np.random.Generator
) -> None:
    """Paint the airless regions, and the scars of patients who have them (scarred lung still counts as lung)."""
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
    """A thin plate that tapers from the pleura inward, in any direction."""
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
