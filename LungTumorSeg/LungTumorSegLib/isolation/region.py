"""The region in which tumors are looked for: the published mirror image of the lungs and three additions; step 4 of lung isolation.

The published pipeline unites the lungs with their mirror image about the spine axis and dilates the union with a disk of radius 5. With the
lungs found here, that holds 98.7 % of lung1_001's tumor, 97 % of a tumor beside the spine of 4dlung_113, whose lungs are not symmetric,
26 % of ibsi1_phantom's mass, whose other lung is outside the image, and 30 to 40 % of masses in the mediastinum of phantoms. Added are a
closing (``symmetry.py``), what each lung spans (``hull.py``), and what surrounds trachea and main bronchi. With them it is 99.7 to 100 % on
those real CT, and on lung1_001 the region grows from 1.47 to 1.68 times the lungs and the tumor.
"""

from __future__ import annotations

import numpy as np

from ..core.volume import Array, Volume
from .hull import spanned_by_lungs
from .morphology import dilate
from .spine import SpineAxis
from .symmetry import mirrored_lungs
from .working_grid import enlarge

MARGIN_MM = 5.0
"""Radius of the dilation: the published 5 pixels of a slice of 512 x 512 over the usual field of 500 mm, 0.977 mm each; in mm, so that it
does not depend on the reconstruction."""

CENTRAL_MM = 35.0
"""How far from the lumen of trachea and main bronchi, in the slice, tumors and lymph nodes of the mediastinum are looked for: holds a mass
of 70 mm beside them (phantoms: 25 mm 93 to 95 % of masses of 55 and 69 mm, 35 mm all)."""

NECK_SHARE = 0.1
"""Slices with less than this share of the lungs' largest cross-section show the neck, where no mediastinum is."""

AIRWAY_REACH_MM = 70.0
"""Airways farther from the spine axis are lobar bronchi, or gas in a colon that passed for an airway (ts_example_3mm)."""


def expected_lung(left: Volume, right: Volume, airways: Volume, axis: SpineAxis) -> tuple[Array, Array]:
    """Where lung or tumor may be: the lungs with their mirror image, and what lies between and around them; without margin.

    All masks are bool, on one grid, axial LPS.
    """
    lungs = left.with_array(left.array | right.array)
    between = spanned_by_lungs(left.array, right.array, left.spacing)
    return mirrored_lungs(lungs, axis), between | _around_airways(airways, lungs, axis)


def _around_airways(airways: Volume, lungs: Volume, axis: SpineAxis) -> Array:
    """What lies within 35 mm of a central airway, in the slices of the chest."""
    areas = lungs.array.sum(axis=(1, 2))
    in_chest = areas >= NECK_SHARE * areas.max()
    sideways_mm = np.abs(np.arange(lungs.shape[2]) - axis.columns(lungs)[:, None]) * lungs.spacing[2]
    wanted = (sideways_mm <= AIRWAY_REACH_MM) & in_chest[:, None]
    return dilate(airways.array & wanted[:, None, :], CENTRAL_MM, lungs.spacing, planar=True)


def isolation_mask(left: Volume, right: Volume, airways: Volume, axis: SpineAxis, body: Volume, ct: Volume) -> Volume:
    """The search region with its margin, within the body, a bool mask on the grid of ``ct``; the other masks lie on the coarse grid.

    The margin belongs to the lungs and their mirror image; what lies between them is generous already.
    """
    symmetric, between = expected_lung(left, right, airways, axis)
    mask = dilate(enlarge(symmetric, ct), MARGIN_MM, ct.spacing, planar=True)
    mask |= enlarge(between, ct)
    mask &= enlarge(body.array, ct)
    return Volume(np.ascontiguousarray(mask), ct.affine)
