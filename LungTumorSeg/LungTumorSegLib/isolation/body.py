"""The patient's body without couch, table top, blankets and leads: step 1 of lung isolation.

A couch is told from a patient by two things. It keeps its cross-section along z, so a low percentile over the slices shows the couch and
little else; and whatever is around a patient (shells of a table top, blankets, covers of cushions, leads) is thin, so an opening takes
it away. The opening alone is not enough where the back lies on a flat table top: skin and shell are then one thick object.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..ct import Array, Volume
from .morphology import biggest_component, dilate, open_

TISSUE_HU = -300
"""Above it a voxel is tissue, HU. Fat lies at -120 to -60, a carbon table top, thinned by partial volume, at -600 to -400
(lung1_001, 4dlung_113)."""

CLOTH_RADIUS_MM = 4.0
"""What is thinner in the axial plane than twice this is no body: table tops measure 3 to 8 mm, blankets and leads less."""

WALL_GAP_MM = 10.0
"""Tissue this near the thick trunk is kept until the lungs are filled: bridges a thin chest wall of up to twice this along its length."""

COUCH_PERCENTILE = 20.0
"""Percentile over the slices that shows the couch also below the patient: the back rises from it (neck, loin) in a fifth of the slices."""

COUCH_RELIEF_HU = 100
"""A couch surface stands out by this from what is 5 mm in front of it and behind it; 350 to 500 HU on lung1_001 and 4dlung_113."""

COUCH_WIDTH_MM = 200.0
"""A couch surface is at least this wide (tables measure 400 to 530 mm) ..."""

COUCH_WIDTH_SHARE = 0.6
"""... or this share of an image that is narrower (ibsi1_phantom: 199 mm)."""

COUCH_THICKNESS_MM = 10.0
"""A table top's shell is thinner than this; it may be hidden over this width without being cut in two."""

FLAT_MM = 6.0
"""A surface whose rows differ by less is a flat table top: hard, so nothing of the patient lies behind it. A curved one carries a soft
mattress, which a pelvis presses 10 mm below the line of the other slices (ts_example_3mm), so the body is not cut there."""

PADDING_HU = -1020
"""At or below it a coarse voxel lies outside the scanned circle: scanned air is noisy and averages -1000 HU."""

OUTSIDE_AIR_HU = -920
"""A region that meets the image border is room air if its median is below this, HU; lung has -910 to -700, room air -1000 to -940.
Foam under a patient may be as dense as lung (-900), so a region with no tissue behind it is outside too."""


def find_body(ct: Volume) -> Volume:
    """The body with everything in it, lungs and bowel gas too, as a bool mask on the grid of ``ct`` (axial LPS, HU).

    All zero if nothing in the image is thicker than 8 mm. Arms stay where they touch the trunk.
    """
    spacing = ct.spacing
    behind = np.arange(ct.shape[1])[:, None]
    couch, flat_couch = (behind >= rows for rows in _couch_rows(ct))
    tissue = (ct.array > TISSUE_HU) & ~flat_couch
    trunk = biggest_component(open_(tissue, CLOTH_RADIUS_MM, spacing, planar=True))
    # A chest wall may be as thin as a blanket: tissue near the trunk closes the ring around the lungs, and what of it was cloth
    # lies on the outside and goes with a second opening once the lungs are filled.
    ring = trunk | (tissue & dilate(trunk, WALL_GAP_MM, spacing, planar=True))
    filled = _filled(ring, ct.array, couch)
    return ct.with_array(biggest_component(open_(filled, CLOTH_RADIUS_MM, spacing, planar=True)))


def _couch_rows(ct: Volume) -> tuple[Array, Array]:
    """First row of any couch surface and of flat ones alone in each column, shape (columns,); the number of rows where there is none.

    A surface is a ridge, at most 10 mm thick, in the percentile image. It lies behind the middle of the tissue and runs over 200 mm or, in
    a narrow image, 60 % of its width. Columns that miss it (a patient rests on it in every slice) are bridged by straight lines.
    """
    _, spacing, column_spacing = ct.spacing
    slices, rows, columns = ct.shape
    typical = np.percentile(ct.array[:: max(1, slices // 40)], COUCH_PERCENTILE, axis=0)
    relief = typical - ndimage.grey_opening(typical, (max(3, 2 * round(COUCH_THICKNESS_MM / 2 / spacing) + 1), 1))
    tissue_rows = np.flatnonzero((typical > TISSUE_HU).any(axis=1))
    middle = tissue_rows.mean() if len(tissue_rows) else rows / 2
    ridge = (relief > COUCH_RELIEF_HU) & (np.arange(rows)[:, None] > middle)
    bridged = ndimage.binary_dilation(ridge, np.ones((1, 2 * round(COUCH_THICKNESS_MM / column_spacing) + 1), bool))
    labels, count = ndimage.label(bridged, np.ones((3, 3)))
    first = np.full((2, columns), rows)
    for label in range(1, count + 1):
        surface = ridge & (labels == label)
        present = np.flatnonzero(surface.any(axis=0))
        if len(present) >= min(COUCH_WIDTH_MM / column_spacing, COUCH_WIDTH_SHARE * columns):
            span = np.arange(present[0], present[-1] + 1)
            top = np.interp(span, present, surface.argmax(axis=0)[present]).astype(int) - 1  # a shell's blurred front precedes its ridge
            first[0, span] = np.minimum(first[0, span], top)
            if np.ptp(top) * spacing <= FLAT_MM:
                first[1] = np.minimum(first[1], top.min())
    return first[0], first[1]


def _filled(ring: Array, hu: Array, couch: Array) -> Array:
    """``ring`` with the holes of each axial slice, and with lungs that the border of the image or of the scanned circle cuts open."""
    filled = np.empty_like(ring)
    border = np.ones(ring.shape[1:], bool)
    border[1:-1, 1:-1] = False
    for index, (tissue, image) in enumerate(zip(ring, hu, strict=True)):
        outside = (_touching(image <= PADDING_HU, border) | couch) & ~tissue
        gaps = ~tissue & ~outside
        outside |= _touching(gaps, ndimage.binary_dilation(couch))
        labels, _ = ndimage.label(gaps)
        behind = np.cumsum(tissue[::-1], axis=0)[::-1] > 0
        for label in np.unique(labels[gaps & (border | ndimage.binary_dilation(outside))]):
            region = labels == label
            if np.median(image[region]) < OUTSIDE_AIR_HU or behind[region].mean() < 0.5:
                outside |= region
        filled[index] = ~outside
    return filled


def _touching(mask: Array, seeds: Array) -> Array:
    """The parts of a 2D ``mask`` that hold a voxel of ``seeds``."""
    labels, _ = ndimage.label(mask)
    return np.asarray(np.isin(labels, np.unique(labels[seeds & mask])) & mask)
