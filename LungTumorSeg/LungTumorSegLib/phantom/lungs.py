"""Contents of the lungs: parenchyma with texture, gravity and emphysema; vessel and airway trees."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.boxes import Slices
from ..core.volume import Array
from .canvas import Canvas
from .fissures import paint_fissures
from .patient import Patient
from .shapes import Field, smooth_noise
from .thorax import LEFT_PULMONARY_ARTERY_MM, RIGHT_PULMONARY_ARTERY_MM, Thorax, airways_lps, patient_tube
from .trees import Tree, bronchi_beside, grow, paint_airways, paint_vessels, targets_in, unbranched_tree

TEXTURE_HU, PATCHES_HU = 26.0, 10.0
"""Standard deviations of the parenchyma's fine texture (about 2 mm) and of its slow variation (about 20 mm), HU."""

EMPHYSEMA_HU = -955.0
LEAVES = 850
"""Number of tips of each tree; about as many vessels as a 1 mm voxel resolves."""

SUBPLEURAL_MM = 4.0
"""Distance from the pleura at which vessels end, as seen on CT, mm."""


def paint_lungs(canvas: Canvas, patient: Patient, thorax: Thorax, rng: np.random.Generator) -> None:
    """Paint both lungs, then their fissures, vessels and airways.

    Args:
        canvas: The canvas; it is painted in place.
        patient: Supplies the HU of lung and blood, and the share of emphysema.
        thorax: The patient's thorax.
        rng: Draws texture, emphysema, vessels and bronchi.
    """
    both = thorax.lungs
    box = canvas.box_of(both)
    if box is None:
        return
    distance = canvas.sample(both, box)
    canvas.paint(box, distance, _parenchyma(canvas, patient, thorax, box, rng))
    paint_fissures(canvas, thorax)
    arterial, venous = [], []
    airways = [unbranched_tree(rows) for rows in airways_lps(patient).values()]
    for side, lung in (("right", thorax.right_lung), ("left", thorax.left_lung)):
        arteries, veins = _vessel_trees(patient, thorax, side, lung, rng)
        arterial.append(arteries)
        venous.append(veins)
        airways.append(bronchi_beside(arteries, airways_lps(patient)[side][-1, :3], rng))
    paint_vessels(canvas, venous, patient.venous_hu)
    paint_vessels(canvas, arterial, patient.blood_hu)
    paint_airways(canvas, airways)


def _parenchyma(canvas: Canvas, patient: Patient, thorax: Thorax, box: Slices, rng: np.random.Generator) -> Array:
    """Return the HU (slice, row, column) of the lungs' tissue in ``box``, without vessels and airways."""
    shape = canvas.hu[box].shape
    _, y, _ = canvas.points(box)
    fine = rng.standard_normal(shape, dtype=np.float32)
    fine = ndimage.gaussian_filter(fine, [0.9 / s for s in canvas.grid.spacing], truncate=2.5, mode="wrap")
    hu = fine * np.float32(TEXTURE_HU / fine.std())
    slow = PATCHES_HU * smooth_noise(rng, thorax.grid.size, 3)
    if patient.emphysema > 0:
        holes = smooth_noise(rng, thorax.grid.size, 1.6) + 0.004 * thorax.model[2]  # more in the upper lobes
        threshold = np.quantile(holes, 1 - patient.emphysema)
        slow += np.where(holes > threshold, EMPHYSEMA_HU - patient.lung_hu, 0)
    hu += canvas.sample(slow.astype(np.float32), box)
    hu += np.float32(patient.lung_hu) + np.float32(patient.gravity_hu_per_mm) * y
    return np.asarray(np.clip(hu, -1000, -550))


def _vessel_trees(
    patient: Patient, thorax: Thorax, side: str, lung: Field, rng: np.random.Generator
) -> tuple[Tree, Tree]:
    """Return the arteries and the veins of the lung with the field ``lung``; ``side`` is "left" or "right"."""
    sign = 1.0 if side == "left" else -1.0
    rows = LEFT_PULMONARY_ARTERY_MM if side == "left" else RIGHT_PULMONARY_ARTERY_MM
    artery_root = patient_tube(patient, rows, 6)[-1, :3]
    vein_root = patient.to_lps(np.array([[sign * 28 + 2, 4, -46]]))[0]
    trees = []
    for root, heading in ((artery_root, np.array([sign, 0.3, -0.5])), (vein_root, np.array([sign, -0.1, -0.1]))):
        targets = targets_in(lung, thorax.grid, LEAVES, SUBPLEURAL_MM, rng)
        trees.append(grow(root, heading, targets, rng))
    return trees[0], trees[1]
