"""The couch under the patient and what lies on the patient: blanket and electrode leads."""

from __future__ import annotations

import numpy as np

from ..core.volume import Array
from .canvas import Canvas
from .patient import Patient
from .shapes import Field, capsule, smooth_noise

SHELL_HU, FOAM_HU, MATTRESS_HU = (-350.0, 80.0), (-960.0, -900.0), (-930.0, -820.0)
CLOTH_HU, LEAD_HU = -650.0, 1800.0
LEAD_MM = 0.8
MATTRESS_MM = (5.0, 25.0)
"""Range of the thickness of the air gap or mattress between patient and couch top, mm."""


def paint_couch(canvas: Canvas, patient: Patient, skin: Field, rng: np.random.Generator) -> None:
    """Paint couch, mattress and blanket; the patient is painted over them later.

    Args:
        canvas: The canvas; it is painted in place.
        patient: Says which couch to paint and whether there is a blanket.
        skin: The skin's coarse field (z, y, x), mm, negative inside.
        rng: Draws the sizes and HU.
    """
    box = canvas.everything
    x, y, _ = canvas.points(box)
    back = _lowest_skin(canvas, skin)
    gap = float(rng.uniform(*MATTRESS_MM))
    if patient.couch == "curved":
        radius = float(rng.uniform(330, 520))
        depth = back + gap - (radius - np.sqrt(np.maximum(radius**2 - x**2, 1)))
        shape = np.maximum(depth + 0 * y - y, np.abs(x) - rng.uniform(195, 225))
        _paint_slab(canvas, shape, y - depth, thickness_mm=float(rng.uniform(10, 40)), rng=rng)
        canvas.paint(
            box, np.maximum(np.abs(y - depth + gap / 2) - gap / 2, np.abs(x) - 190), float(rng.uniform(*MATTRESS_HU))
        )
    elif patient.couch == "flat":
        depth = np.asarray(back + gap, np.float32)
        shape = np.maximum(depth - y, np.abs(x) - rng.uniform(210, 265))
        _paint_slab(canvas, shape, y - depth, thickness_mm=float(rng.uniform(45, 75)), rng=rng)
        if rng.random() < 0.5:
            canvas.paint(
                box,
                np.maximum(np.abs(y - depth + gap / 2) - gap / 2, np.abs(x) - 200),
                float(rng.uniform(*MATTRESS_HU)),
            )
    if patient.blanket:
        _paint_blanket(canvas, skin, rng)


def paint_leads(canvas: Canvas, skin: Field, rng: np.random.Generator) -> None:
    """Paint two or three electrode wires that run over the front of the chest.

    Args:
        canvas: The canvas; it is painted in place.
        skin: The skin's field (z, y, x), mm, negative inside.
        rng: Draws number and course of the wires.
    """
    grid = canvas.coarse
    for _ in range(int(rng.integers(2, 4))):
        z = np.linspace(rng.uniform(-120, -20), rng.uniform(60, 120), 16)
        x = np.linspace(rng.uniform(-70, 70), rng.uniform(-60, 60), 16)
        column = np.array([_front(skin, grid.low, grid.spacing_mm, a, b) for a, b in zip(x, z, strict=True)])
        points = np.column_stack([x, column - 2.0, z])
        boxes = canvas.boxes(np.minimum(points[:-1], points[1:]), np.maximum(points[:-1], points[1:]))
        for i, box in enumerate(boxes):
            if box is not None:
                canvas.paint(box, capsule(canvas.points(box), points[i], points[i + 1], LEAD_MM, LEAD_MM), LEAD_HU)


def _paint_slab(canvas: Canvas, above: Array, depth: Array, thickness_mm: float, rng: np.random.Generator) -> None:
    """Paint a hard shell around foam.

    Args:
        canvas: The canvas; it is painted in place.
        above: A field over the canvas, negative within the couch's width and below its top.
        depth: Distance below the couch's top, mm.
        thickness_mm: Thickness of the slab, mm.
        rng: Draws the shell's thickness and the HU.
    """
    box, shell = canvas.everything, float(rng.uniform(0.8, 2.5))
    whole = np.maximum(above, depth - thickness_mm)
    canvas.paint(box, whole, float(rng.uniform(*SHELL_HU)))
    canvas.paint(box, whole + shell, float(rng.uniform(*FOAM_HU)))


def _paint_blanket(canvas: Canvas, skin: Field, rng: np.random.Generator) -> None:
    """Paint a wrinkled cloth over the front: a thin sheet at a varying distance from the skin."""
    _, y, _ = canvas.coarse.axes()
    sheet = np.abs(skin - 12 - 7 * smooth_noise(rng, skin.shape, 4)) - 1.2
    canvas.paint_field(np.maximum(sheet, y - 20), CLOTH_HU)


def _lowest_skin(canvas: Canvas, skin: Field) -> float:
    """Return the most posterior y of the skin, LPS mm."""
    rows = np.flatnonzero((skin < 0).any(axis=(0, 2)))
    return float(canvas.coarse.low[1] + canvas.coarse.spacing_mm * rows[-1])


def _front(skin: Field, low: Array, spacing_mm: float, x: float, z: float) -> float:
    """Return the y (LPS mm) of the most anterior skin at ``x`` and ``z``."""
    i = int(np.clip((x - low[0]) / spacing_mm, 0, skin.shape[2] - 1))
    k = int(np.clip((z - low[2]) / spacing_mm, 0, skin.shape[0] - 1))
    inside = np.flatnonzero(skin[k, :, i] < 0)
    return float(low[1] + spacing_mm * (inside[0] if len(inside) else 0))
