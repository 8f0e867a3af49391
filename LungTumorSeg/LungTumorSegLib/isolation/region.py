"""The region in which tumors are searched: the mirrored lungs, and three additions; step 4 of lung isolation.

The published pipeline unites the lungs with their mirror image about the spine axis and dilates the union by a disk of
radius 5. With the lungs found here, this region contains:

* 98.7% of lung1_001's tumor;
* 97% of a tumor beside the spine of 4dlung_113, whose lungs are not symmetric;
* 26% of ibsi1_phantom's mass, whose other lung is outside the image;
* 30% to 40% of masses in the mediastinum of phantoms.

This module adds a closing (``symmetry.py``), what each lung spans (``hull.py``), and what surrounds the trachea and the
main bronchi. With these additions, the region contains 99.7% to 100% of the tumors in those real CTs. On lung1_001, it
grows from 1.47 to 1.68 times the volume of lungs and tumor.
"""

from __future__ import annotations

import numpy as np

from ..core.volume import Mask, Volume
from .hull import spanned_by_lungs
from .morphology import dilate
from .spine import SpineAxis
from .symmetry import mirrored_lungs
from .working_grid import planes

LUNG_MARGIN_MM = 5.0
"""Margin of the isolation mask around the lungs: radius of the dilation, mm.

The published radius is 5 pixels of a slice of 512 x 512 pixels over the usual field of 500 mm, that is, 0.977 mm each.
In mm, it does not depend on the reconstruction.
"""

CENTRAL_MM = 35.0
"""Distance from the lumen of trachea and main bronchi up to which mediastinal tumors and lymph nodes are searched, mm.

The distance is measured within the slice. It contains a mass of 70 mm beside the airways. In phantoms, 25 mm contain
93% to 95% of masses of 55 and 69 mm, and 35 mm contain all of them.
"""

NECK_SHARE = 0.1
"""Share of the largest cross-section of the lungs below which a slice shows the neck, which has no mediastinum."""

AIRWAY_REACH_MM = 70.0
"""Distance from the spine axis beyond which airways are not central, mm.

They are lobar bronchi, or colon gas that was mistaken for an airway (ts_example_3mm).
"""


def expected_lung(left: Volume, right: Volume, airways: Volume, axis: SpineAxis) -> tuple[Mask, Mask]:
    """Return where lung or tumor may be, without margin.

    Args:
        left: The left lung (bool, axial LPS).
        right: The right lung on the same grid.
        airways: The lumen of trachea and main bronchi on the same grid.
        axis: The spine axis.

    Returns:
        The lungs united with their mirror image, and what lies between and around them; both bool (slices, rows,
        columns).
    """
    lungs = left.with_array(left.array | right.array)
    between = spanned_by_lungs(left.array, right.array, left.spacing)
    return mirrored_lungs(lungs, axis), between | _around_airways(airways, lungs, axis)


def _around_airways(airways: Volume, lungs: Volume, axis: SpineAxis) -> Mask:
    """Return what lies within 35 mm of a central airway, in the slices of the chest."""
    areas = lungs.array.sum(axis=(1, 2))
    in_chest = areas >= NECK_SHARE * areas.max()
    sideways_mm = np.abs(np.arange(lungs.shape[2]) - axis.columns(lungs)[:, None]) * lungs.spacing[2]
    wanted = (sideways_mm <= AIRWAY_REACH_MM) & in_chest[:, None]
    return dilate(airways.array & wanted[:, None, :], CENTRAL_MM, lungs.spacing, planar=True)


def isolation_mask(
    left: Volume, right: Volume, airways: Volume, axis: SpineAxis, *, body: Volume, ct: Volume
) -> Volume:
    """Return the search region with its margin, within the body.

    The margin applies to the lungs and their mirror image only, because the region between them is wide enough.

    Args:
        left: The left lung (bool) on the coarse grid, axial LPS.
        right: The right lung, likewise.
        airways: The lumen of trachea and main bronchi, likewise.
        axis: The spine axis.
        body: The body, likewise.
        ct: The CT on its own grid, axial LPS.

    Returns:
        The region (bool) on the grid of the CT.
    """
    symmetric, between = expected_lung(left, right, airways, axis)
    mask = np.zeros(ct.shape, bool)
    coarse = (planes(each, ct) for each in (symmetric, between, body.array))
    for (here, lungs), (_, among), (_, inside) in zip(*coarse, strict=True):
        mask[here] = (dilate(lungs[None], LUNG_MARGIN_MM, ct.spacing, planar=True)[0] | among) & inside
    return Volume(mask, ct.affine)
