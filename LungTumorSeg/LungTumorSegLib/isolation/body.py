"""The patient's body without couch, table top, blankets and leads: step 1 of lung isolation.

Two properties distinguish a couch from a patient. First, a couch keeps its cross-section along z, so a low percentile
over the slices shows the couch and little else. Second, everything around a patient (shells of a table top, blankets,
covers of cushions, leads) is thin, so a morphological opening removes it.

The opening is not enough where the back lies on a flat table top, because skin and shell form one thick object there.
Nothing behind a flat surface therefore counts as body. A curved surface holds a soft mattress, into which a pelvis
sinks 10 mm below the line of the other slices (ts_example_3mm). There, the opening alone is used.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from ..core.components import components_at
from ..core.volume import HU, Array, Mask, Volume
from .morphology import (
    Spacing,
    biggest_component,
    components_touching,
    dilate,
    grow_by_one,
    holes,
    label_components,
    open_,
)

TISSUE_HU = -300
"""HU above which a voxel is tissue.

Fat lies at -120 to -60 HU. A carbon table top, with partial volume, lies at -600 to -400 HU (lung1_001, 4dlung_113).
"""

CLOTH_RADIUS_MM = 4.0
"""Half the axial thickness below which an object is not part of the body, mm.

Table tops measure 3 to 8 mm; blankets and leads are thinner.
"""

THREAD_RADIUS_MM = 2.5
"""Half the thickness below which tissue is not part of the ring around the lungs, mm, except near thicker tissue."""

WALL_GAP_MM = 10.0
"""Distance from thicker tissue within which thin tissue is part of the ring, mm.

This bridges a chest wall thinner than 5 mm over a length of 20 mm.
"""

COUCH_PERCENTILE = 20.0
"""Percentile over the slices that shows the couch also below the patient.

The back is raised from the couch (at neck and loin) in a fifth of the slices.
"""

COUCH_RELIEF_HU = 100
"""Difference by which a couch surface exceeds its surroundings 5 mm in front of and behind it, HU.

The difference is 350 to 500 HU in lung1_001 and 4dlung_113.
"""

COUCH_WIDTH_MM = 200.0
"""Smallest width of a couch surface, mm; tables measure 400 to 530 mm."""

COUCH_WIDTH_SHARE = 0.6
"""Smallest width of a couch surface as a share of a narrower image (ibsi1_phantom: 199 mm)."""

COUCH_THICKNESS_MM = 10.0
"""Largest thickness of a couch surface, mm.

The surface may also be hidden over this width without being split in two.
"""

COUCH_SLICES = 40
"""Approximate number of slices, evenly spaced, that are searched for a couch."""

TRUNK_RADIUS_MM = 8.0
"""Radius of a disk that fits into the patient's tissue, mm; shells and rails of couches are thinner than twice this."""

MATTRESS_MM = 20.0
"""Depth to which a patient may sink into a soft mattress on the couch, mm (ts_example_3mm: 10 mm)."""

TRUNK_SHARE = 0.2
"""Share of slices with tissue behind a surface, or lung in front of it, above which the surface is no couch."""

WALL_REACH_MM = 15.0
"""Distance from a surface of the patient within which other surfaces belong to the patient too, mm."""

LUNG_DEPTH_MM, LUNG_DEPTH_SHARE = 30.0, 0.8
"""Depth (mm) in front of a surface, and the share of it that enclosed air must fill to be lung.

Mattresses are up to 25 mm thick.
"""

PADDING_HU = -1020
"""HU up to which a coarse voxel lies outside the scanned circle; scanned air is noisy and averages -1000 HU."""

OUTSIDE_AIR_HU = -920
"""Median HU below which a region that touches the image border is room air.

Lung has -910 to -700 HU, and room air has -1000 to -940 HU. Foam under a patient may be as dense as lung (-900 HU), so
a region with no tissue behind it is outside too.
"""

NOISE_HU = 20
"""Range above the lowest value of a clipped CT that counts as room air, HU."""


def find_body(ct: Volume) -> Volume:
    """Find the body with everything in it, including lungs and bowel gas.

    Arms are included where they touch the trunk.

    Args:
        ct: The CT (HU, axial LPS).

    Returns:
        The body (bool) on the same grid; empty if nothing in the image is thicker than 8 mm.
    """
    spacing = ct.spacing
    flat_couch, couch = _find_couch(ct.array, spacing)
    tissue = (ct.array > TISSUE_HU) & ~flat_couch
    trunk = biggest_component(open_(tissue, THREAD_RADIUS_MM, spacing, planar=True))
    # A chest wall may be as thin as a blanket. The ring around the lungs is therefore closed first, including some
    # cloth near it. The cloth lies on the outside, and a wider opening removes it once the lungs are filled.
    ring = trunk | (tissue & dilate(trunk, WALL_GAP_MM, spacing, planar=True))
    filled = _filled(ring, ct.array, couch)
    return ct.with_array(biggest_component(open_(filled, CLOTH_RADIUS_MM, spacing, planar=True)))


def _find_couch(hu: HU, spacing: Spacing) -> tuple[Mask, Mask]:
    """Find what belongs to a flat couch, and what belongs to a couch of any shape.

    The couch is searched behind the patient first. It lies in front if the patient is prone, or if the header of a scan
    of a supine patient is wrong.

    Returns:
        Two bool arrays (rows, columns).
    """
    sampled = hu[:: max(1, len(hu) // COUCH_SLICES)]
    behind = _couch_behind(sampled, spacing)
    if behind[1].any():
        return behind
    flat, couch = _couch_behind(sampled[:, ::-1], spacing)
    return flat[::-1], couch[::-1]


def _couch_behind(hu: HU, spacing: Spacing) -> tuple[Mask, Mask]:
    """Find the couch, as ``_find_couch`` does, at the high rows of ``hu`` (slices, rows, columns)."""
    ridge = _couch_ridges(hu, spacing)
    rows = np.arange(hu.shape[1])[:, None]
    if ridge.any():
        wall = ridge & _within_trunk(hu, spacing)
        ridge &= ~dilate(wall[None], WALL_REACH_MM, spacing, planar=True)[0]
    flat = np.broadcast_to(rows >= _flat_couch_row(ridge, spacing), ridge.shape)
    return flat, flat | (rows >= _couch_rows(ridge, spacing))


def _couch_ridges(hu: HU, spacing: Spacing) -> Mask:
    """Find surfaces of a couch, bool (rows, columns).

    They are bright in most slices, at most 10 mm thick, and lie behind the middle of the body.
    """
    rows = hu.shape[1]
    typical = np.percentile(hu, COUCH_PERCENTILE, axis=0)
    thickness = 2 * round(COUCH_THICKNESS_MM / 2 / spacing[1]) + 1
    relief = typical - ndimage.grey_opening(typical, (max(3, thickness), 1))
    tissue_rows = np.flatnonzero((typical > TISSUE_HU).any(axis=1))
    middle = tissue_rows.mean() if len(tissue_rows) else rows / 2
    return np.asarray((relief > COUCH_RELIEF_HU) & (np.arange(rows)[:, None] > middle))


def _within_trunk(hu: HU, spacing: Spacing) -> Mask:
    """Find surfaces that belong to the patient rather than to a couch in some of the slices.

    Thick tissue lies well behind such a surface, or enclosed air that is much deeper than a mattress lies directly in
    front of it, as at the back wall of a chest.

    Returns:
        bool (rows, columns).
    """
    tissue = hu > TISSUE_HU
    thick = open_(tissue, TRUNK_RADIUS_MM, spacing, planar=True)
    tissue_behind = np.maximum.accumulate(thick[:, ::-1], axis=1)[:, ::-1]
    enclosed = np.stack([holes(plane) for plane in tissue])
    depth = max(1, round(LUNG_DEPTH_MM / spacing[1]))
    air_in_front = (
        ndimage.uniform_filter1d(enclosed.astype(np.float32), depth, axis=1, mode="constant") > LUNG_DEPTH_SHARE
    )
    within = np.mean(_shifted(tissue_behind, -round(MATTRESS_MM / spacing[1])), axis=0) > TRUNK_SHARE
    within |= np.mean(_shifted(air_in_front, depth // 2 + 1), axis=0) > TRUNK_SHARE
    return np.asarray(within)


def _shifted(mask: Mask, rows: int) -> Mask:
    """Move a mask (slices, rows, columns) to higher rows, or lower ones if ``rows`` is negative; False moves in."""
    moved = np.zeros_like(mask)
    if rows >= 0:
        moved[:, rows:] = mask[:, : mask.shape[1] - rows]
    else:
        moved[:, :rows] = mask[:, -rows:]
    return moved


def _flat_couch_row(ridge: Mask, spacing: Spacing) -> int:
    """Find the row from which a flat couch begins.

    This is two rows before the first one in which a flat surface is at least 200 mm wide, or as wide as most of the
    image. The patient may hide the middle of the surface. Neighboring rows count with it, because a table may be
    slightly tilted. The second row is a reserve for ``refine``, which searches tissue one coarse voxel farther.

    Returns:
        The row, or the number of rows if there is no flat surface.
    """
    near = ndimage.binary_dilation(ridge, np.ones((3, 1), bool)).sum(axis=1)
    flat = np.flatnonzero(near >= _least_width(ridge, spacing))
    return int(flat[0]) - 1 if len(flat) else ridge.shape[0]


def _couch_rows(ridge: Mask, spacing: Spacing) -> Array:
    """Return the row before the first surface, flat or curved, in each column.

    Returns:
        Shape (columns,); the number of rows where there is no surface.
    """
    first = np.full(ridge.shape[1], ridge.shape[0])
    for surface in _surfaces(ridge, spacing):
        present = np.flatnonzero(surface.any(axis=0))
        if len(present) >= _least_width(ridge, spacing):
            span = np.arange(present[0], present[-1] + 1)
            top = np.interp(span, present, surface.argmax(axis=0)[present])
            first[span] = np.minimum(first[span], top.astype(int) - 1)
    return first


def _surfaces(ridge: Mask, spacing: Spacing) -> Iterator[Mask]:
    """Yield the connected surfaces of a ridge, bool (rows, columns).

    An object that hides less than 20 mm of a surface does not split it.
    """
    bridged = ndimage.binary_dilation(ridge, np.ones((1, 2 * round(COUCH_THICKNESS_MM / spacing[2]) + 1), bool))
    labels, count = ndimage.label(bridged, np.ones((3, 3)))
    for label in range(1, count + 1):
        yield ridge & (labels == label)


def _least_width(ridge: Mask, spacing: Spacing) -> float:
    """Return the number of columns that a couch surface must cover."""
    return float(min(COUCH_WIDTH_MM / spacing[2], COUCH_WIDTH_SHARE * ridge.shape[1]))


def _filled(ring: Mask, hu: HU, couch: Mask) -> Mask:
    """Fill the holes of a ring in each axial slice.

    Lungs that the border of the image or of the scanned circle cuts open are filled too.
    """
    filled = np.empty_like(ring)
    dark = max(OUTSIDE_AIR_HU, int(hu.min()) + NOISE_HU)
    border = np.ones(ring.shape[1:], bool)
    border[1:-1, 1:-1] = False
    near_couch = grow_by_one(couch)
    for index, (tissue, image) in enumerate(zip(ring, hu, strict=True)):
        outside = (components_touching(image <= PADDING_HU, border) | couch) & ~tissue
        gaps = ~tissue & ~outside
        labels, _ = label_components(gaps)
        outside |= components_at(labels, gaps & near_couch)
        behind = np.logical_or.accumulate(tissue[::-1], axis=0)[::-1]
        for label in np.flatnonzero(np.bincount(labels[gaps & (border | grow_by_one(outside))])):
            region = labels == label
            if np.median(image[region]) < dark or behind[region].mean() < 0.5:
                outside |= region
        filled[index] = ~outside
    return filled
