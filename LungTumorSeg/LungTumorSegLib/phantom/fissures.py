"""Fissures and lobes: the sheets between the lobes, the parts of them that a CT does not show, accessory fissures.

A phantom whose options ask for lobes has them where they lie in adults. Its oblique fissures begin behind at the height
of the carina and run downward to the front. Other phantoms keep the sheets of their first version, whose oblique
fissures run upward to the front, so that each seed keeps its voxels; their lobes are not labeled.

References:
    Aziz, Ashizawa, Nagaoki and Hayashi 2004, "High resolution CT anatomy of the pulmonary fissures", Journal of
    Thoracic Imaging 19.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..core.lobes import LOBES
from ..core.volume import Array
from .canvas import Canvas
from .patient import Patient
from .shapes import Coordinates, Field, smooth_noise

if TYPE_CHECKING:
    from .thorax import Thorax

FISSURE_HU, FISSURE_MM = -640.0, 0.5
"""HU of a fissure, and half its thickness, mm."""

SHIFT_MM, BEND_MM, BEND_GRID_POINTS = 6.0, 3.0, 10.0
"""Standard deviations of a fissure's distance from its usual place and of its bends, mm; length of the bends in points
of the coarse grid."""

INCOMPLETE = {"oblique": 0.6, "horizontal": 0.8}
LARGEST_GAP = 0.6
"""Share of the drawn patients in whom a fissure is incomplete, and the largest missing part of it."""

GAP_GRID_POINTS = 6.0
"""Size of the gaps in a fissure, in points of the coarse grid."""


@dataclass(frozen=True, eq=False)
class Fissure:
    """A fissure; all fields are coarse (z, y, x), mm.

    Attributes:
        sheet: Signed distance to an unbounded sheet.
        lung: The field of the part of the lung in which the fissure lies.
        gap: Negative where the fissure is missing; None if it is complete.
        accessory: Whether it divides a lobe instead of separating two.
    """

    sheet: Field
    lung: Field
    gap: Field | None = None
    accessory: bool = False


def build_fissures(
    patient: Patient,
    model: Coordinates,
    right_lung: Field,
    left_lung: Field,
    rng: np.random.Generator,
) -> tuple[Fissure, ...]:
    """Build the fissures of a patient.

    Args:
        patient: The patient.
        model: Model coordinates x, y, z of the points of the coarse grid, mm.
        right_lung: The field (z, y, x) of the right lung, mm, negative inside.
        left_lung: The field (z, y, x) of the left lung, mm, negative inside.
        rng: Draws places, bends and gaps; it is used only if the patient has lobes.

    Returns:
        The right oblique, the left oblique and the right horizontal fissure, then the accessory ones.
    """
    x, y, z = model
    bow = 0.0012 * (np.abs(x) - 65) ** 2
    horizontal = (z + 32 + 0.12 * y + bow).astype(np.float32)
    if not patient.lobes:
        oblique = (y * 0.83 + (z - 5) * 0.62 + 18 - bow).astype(np.float32) * np.float32(0.95)
        before = np.maximum(right_lung, oblique)
        return Fissure(oblique, right_lung), Fissure(oblique, left_lung), Fissure(horizontal, before)
    shape = right_lung.shape
    right = _move_sheet(0.72 * y - 0.70 * z - 40 - bow, shape, rng)
    left = _move_sheet(0.76 * y - 0.65 * z - 38 - bow, shape, rng)
    gaps = [_gap(patient, name, shape, rng) for name in ("oblique", "oblique", "horizontal")]
    between = Fissure(_move_sheet(horizontal, shape, rng), np.maximum(right_lung, right), gaps[2])
    accessory = _accessory(model, right_lung, left_lung, right, left)
    return (
        Fissure(right, right_lung, gaps[0]),
        Fissure(left, left_lung, gaps[1]),
        between,
        *(accessory[name] for name in patient.accessory_fissures),
    )


def _move_sheet(sheet: Field, shape: tuple[int, ...], rng: np.random.Generator) -> Field:
    """Return a sheet at a drawn distance from its usual place, with drawn bends."""
    return np.asarray(
        sheet + rng.normal(0, SHIFT_MM) + BEND_MM * smooth_noise(rng, shape, BEND_GRID_POINTS), np.float32
    )


def _gap(patient: Patient, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Field | None:
    """Return where a fissure is missing: the wanted share of the space, or a drawn one."""
    incomplete, share = rng.random() < INCOMPLETE[name], float(rng.uniform(0, LARGEST_GAP))
    noise = smooth_noise(rng, shape, GAP_GRID_POINTS)
    share = share * incomplete if patient.fissure_gaps is None else patient.fissure_gaps
    return np.asarray(10 * (np.quantile(noise, 1 - share) - noise), np.float32) if share else None


def _accessory(
    model: Coordinates, right_lung: Field, left_lung: Field, right_oblique: Field, left_oblique: Field
) -> dict[str, Fissure]:
    """Return the accessory fissures by name (``options.ACCESSORY_FISSURES``).

    The azygos fissure cuts off the medial part of the right apex, the inferior one the medial part of the base of the
    right lower lobe, and the left horizontal one the lingula.
    """
    x, y, z = model
    azygos = x + 40 + 0.006 * (y - 16) ** 2 - 0.2 * (z - 40)
    inferior = 0.9 * (x + 62) + 0.4 * (y - 25) + 0 * z
    horizontal = z + 36 + 0.12 * y + 0.0012 * (np.abs(x) - 65) ** 2
    fields = {
        "azygos": (azygos, np.maximum(right_lung, 14 - z)),
        "inferior": (inferior, np.maximum(np.maximum(right_lung, -right_oblique), z + 65)),
        "left_horizontal": (horizontal, np.maximum(left_lung, left_oblique)),
    }
    return {
        name: Fissure(np.asarray(sheet, np.float32), np.asarray(lung, np.float32), accessory=True)
        for name, (sheet, lung) in fields.items()
    }


def paint_fissures(canvas: Canvas, thorax: Thorax) -> None:
    """Paint the fissures of a thorax, except for their gaps, into the canvas."""
    for fissure in thorax.fissures:
        sheet = fissure.sheet
        lung = fissure.lung if fissure.gap is None else np.maximum(fissure.lung, -fissure.gap)
        box = canvas.box_of(np.maximum(np.abs(sheet) - 2, lung))
        if box is not None:
            distance = np.maximum(np.abs(canvas.sample(sheet, box)) - FISSURE_MM, canvas.sample(lung, box) + 1)
            canvas.paint(box, distance, FISSURE_HU, 1.5)


def label_lobes(canvas: Canvas, thorax: Thorax, lungs: Array) -> Array:
    """Divide the lungs into lobes.

    Args:
        canvas: Its grid is that of the result.
        thorax: The thorax of a patient with lobes.
        lungs: uint8 (slice, row, column), 1 in the left lung, 2 in the right lung.

    Returns:
        uint8 (slice, row, column), the number of the lobe in ``core.lobes``, counted from 1; 0 outside the lungs.
    """
    labels = np.zeros(lungs.shape, np.uint8)
    box = canvas.box_of(thorax.lungs)
    if box is None:
        return labels
    right, left, horizontal = (canvas.sample(fissure.sheet, box) > 0 for fissure in thorax.fissures[:3])
    upper, lower, right_upper, middle, right_lower = range(1, len(LOBES) + 1)
    in_left = np.where(left, lower, upper)
    in_right = np.where(right, right_lower, np.where(horizontal, right_upper, middle))
    labels[box] = np.select([lungs[box] == 1, lungs[box] == 2], [in_left, in_right], 0)
    return labels
