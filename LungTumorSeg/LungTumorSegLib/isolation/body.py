"""The patient's body without couch, table top, blankets and leads: step 1 of lung isolation.

A couch is told from a patient by two things. It keeps its cross-section along z, so a low percentile over the slices shows the couch and
little else; and whatever is around a patient (shells of a table top, blankets, covers of cushions, leads) is thin, so an opening takes
it away. The opening alone is not enough where the back lies on a flat table top, as skin and shell are then one thick object: nothing
behind a flat surface is taken for body. A curved surface carries a soft mattress, which a pelvis presses 10 mm below the line of the other
slices (ts_example_3mm), so there the opening has to do.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from ..core.volume import Array, Volume
from .morphology import Spacing, biggest_component, dilate, open_

TISSUE_HU = -300
"""Above it a voxel is tissue, HU. Fat lies at -120 to -60, a carbon table top, thinned by partial volume, at -600 to -400
(lung1_001, 4dlung_113)."""

CLOTH_RADIUS_MM = 4.0
"""What is thinner in the axial plane than twice this is no body: table tops measure 3 to 8 mm, blankets and leads less."""

THREAD_RADIUS_MM = 2.5
"""What is thinner than twice this hangs by a thread: no part of the ring around the lungs, except ..."""

WALL_GAP_MM = 10.0
"""... within this distance of what is thicker: bridges a chest wall thinner than 5 mm over 20 mm of its length."""

COUCH_PERCENTILE = 20.0
"""Percentile over the slices that shows the couch also below the patient: the back rises from it (neck, loin) in a fifth of the slices."""

COUCH_RELIEF_HU = 100
"""A couch surface stands out by this from what is 5 mm in front of it and behind it; 350 to 500 HU on lung1_001 and 4dlung_113."""

COUCH_WIDTH_MM = 200.0
"""A couch surface is at least this wide (tables measure 400 to 530 mm) ..."""

COUCH_WIDTH_SHARE = 0.6
"""... or this share of an image that is narrower (ibsi1_phantom: 199 mm)."""

COUCH_THICKNESS_MM = 10.0
"""A surface is thinner than this, and may be hidden over this width without being cut in two."""

COUCH_SLICES = 40
"""About as many slices, evenly spread, are looked at for a couch."""

TRUNK_RADIUS_MM = 8.0
"""Tissue that holds a disk of this radius is the patient's: shells and rails of couches are thinner than twice this."""

MATTRESS_MM = 20.0
"""How far a patient may press into a soft mattress that lies in the couch (ts_example_3mm: 10 mm) ..."""

TRUNK_SHARE = 0.2
"""... and the share of slices in which tissue behind a surface, or lung in front of it, shows that it is no couch's."""

WALL_REACH_MM = 15.0
"""What lies within this distance of a surface that is the patient's is the patient's too."""

LUNG_DEPTH_MM, LUNG_DEPTH_SHARE = 30.0, 0.8
"""Enclosed air in front of a surface is lung where it fills this share of this depth; mattresses are up to 25 mm thick."""

PADDING_HU = -1020
"""At or below it a coarse voxel lies outside the scanned circle: scanned air is noisy and averages -1000 HU."""

OUTSIDE_AIR_HU = -920
"""A region that meets the image border is room air if its median is below this, HU; lung has -910 to -700, room air -1000 to -940.
Foam under a patient may be as dense as lung (-900), so a region with no tissue behind it is outside too."""

NOISE_HU = 20
"""Where the CT was clipped above that, room air is what lies within this of its lowest value."""


def find_body(ct: Volume) -> Volume:
    """Find the body with everything in it, lungs and bowel gas too, as a bool mask on the grid of ``ct`` (axial LPS, HU).

    All zero if nothing in the image is thicker than 8 mm. Arms stay where they touch the trunk.
    """
    spacing = ct.spacing
    flat_couch, couch = _find_couch(ct.array, spacing)
    tissue = (ct.array > TISSUE_HU) & ~flat_couch
    trunk = biggest_component(open_(tissue, THREAD_RADIUS_MM, spacing, planar=True))
    # A chest wall may be as thin as a blanket. So the ring around the lungs is closed first, with some cloth that lies near it; that
    # lies on the outside, and goes with a wider opening once the lungs are filled.
    ring = trunk | (tissue & dilate(trunk, WALL_GAP_MM, spacing, planar=True))
    filled = _filled(ring, ct.array, couch)
    return ct.with_array(biggest_component(open_(filled, CLOTH_RADIUS_MM, spacing, planar=True)))


def _find_couch(hu: Array, spacing: Spacing) -> tuple[Array, Array]:
    """What belongs to a flat couch, and what to a couch of any shape, bool (rows, columns): behind the patient, or else in front.

    A couch lies in front where the patient is prone, or where the header of a supine one is wrong.
    """
    sampled = hu[:: max(1, len(hu) // COUCH_SLICES)]
    behind = _couch_behind(sampled, spacing)
    if behind[1].any():
        return behind
    flat, couch = _couch_behind(sampled[:, ::-1], spacing)
    return flat[::-1], couch[::-1]


def _couch_behind(hu: Array, spacing: Spacing) -> tuple[Array, Array]:
    """``_find_couch`` at the high rows of ``hu`` (slices, rows, columns)."""
    ridge = _couch_ridges(hu, spacing)
    rows = np.arange(hu.shape[1])[:, None]
    if ridge.any():
        wall = ridge & _within_trunk(hu, spacing)
        ridge &= ~dilate(wall[None], WALL_REACH_MM, spacing, planar=True)[0]
    flat = np.broadcast_to(rows >= _flat_couch_row(ridge, spacing), ridge.shape)
    return flat, flat | (rows >= _couch_rows(ridge, spacing))


def _couch_ridges(hu: Array, spacing: Spacing) -> Array:
    """What is bright in most slices, at most 10 mm thick and behind the middle of the body, bool (rows, columns): surfaces of a couch."""
    rows = hu.shape[1]
    typical = np.percentile(hu, COUCH_PERCENTILE, axis=0)
    thickness = 2 * round(COUCH_THICKNESS_MM / 2 / spacing[1]) + 1
    relief = typical - ndimage.grey_opening(typical, (max(3, thickness), 1))
    tissue_rows = np.flatnonzero((typical > TISSUE_HU).any(axis=1))
    middle = tissue_rows.mean() if len(tissue_rows) else rows / 2
    return np.asarray((relief > COUCH_RELIEF_HU) & (np.arange(rows)[:, None] > middle))


def _within_trunk(hu: Array, spacing: Spacing) -> Array:
    """Where a surface belongs to the patient, not to a couch, in some of the slices: bool (rows, columns).

    Thick tissue lies well behind it, or enclosed air well deeper than a mattress lies right in front of it: the back wall of a chest.
    """
    tissue = hu > TISSUE_HU
    thick = open_(tissue, TRUNK_RADIUS_MM, spacing, planar=True)
    tissue_behind = np.maximum.accumulate(thick[:, ::-1], axis=1)[:, ::-1]
    enclosed = np.stack([ndimage.binary_fill_holes(plane) for plane in tissue]) & ~tissue
    depth = max(1, round(LUNG_DEPTH_MM / spacing[1]))
    air_in_front = (
        ndimage.uniform_filter1d(enclosed.astype(np.float32), depth, axis=1, mode="constant") > LUNG_DEPTH_SHARE
    )
    within = np.mean(_shifted(tissue_behind, -round(MATTRESS_MM / spacing[1])), axis=0) > TRUNK_SHARE
    within |= np.mean(_shifted(air_in_front, depth // 2 + 1), axis=0) > TRUNK_SHARE
    return np.asarray(within)


def _shifted(mask: Array, rows: int) -> Array:
    """``mask`` (slices, rows, columns) moved by ``rows`` toward higher rows (lower, if negative); False comes in."""
    moved = np.zeros_like(mask)
    if rows >= 0:
        moved[:, rows:] = mask[:, : mask.shape[1] - rows]
    else:
        moved[:, :rows] = mask[:, -rows:]
    return moved


def _flat_couch_row(ridge: Array, spacing: Spacing) -> int:
    """Two rows before the first one in which a flat surface runs over 200 mm (or most of the image); the number of rows if none does.

    The patient may hide its middle; neighboring rows count with it, as a table may be tilted a little. The second row is for ``refine``,
    which looks one coarse voxel farther for tissue.
    """
    near = ndimage.binary_dilation(ridge, np.ones((3, 1), bool)).sum(axis=1)
    flat = np.flatnonzero(near >= _least_width(ridge, spacing))
    return int(flat[0]) - 1 if len(flat) else ridge.shape[0]


def _couch_rows(ridge: Array, spacing: Spacing) -> Array:
    """The row before the first surface, flat or curved, in each column, shape (columns,); the number of rows where there is none."""
    first = np.full(ridge.shape[1], ridge.shape[0])
    for surface in _surfaces(ridge, spacing):
        present = np.flatnonzero(surface.any(axis=0))
        if len(present) >= _least_width(ridge, spacing):
            span = np.arange(present[0], present[-1] + 1)
            top = np.interp(span, present, surface.argmax(axis=0)[present])
            first[span] = np.minimum(first[span], top.astype(int) - 1)
    return first


def _surfaces(ridge: Array, spacing: Spacing) -> Iterator[Array]:
    """The connected surfaces of a ridge, bool (rows, columns); what hides less than 20 mm of one does not part it."""
    bridged = ndimage.binary_dilation(ridge, np.ones((1, 2 * round(COUCH_THICKNESS_MM / spacing[2]) + 1), bool))
    labels, count = ndimage.label(bridged, np.ones((3, 3)))
    for label in range(1, count + 1):
        yield ridge & (labels == label)


def _least_width(ridge: Array, spacing: Spacing) -> float:
    """Columns that a surface must cover to be a couch's."""
    return float(min(COUCH_WIDTH_MM / spacing[2], COUCH_WIDTH_SHARE * ridge.shape[1]))


def _filled(ring: Array, hu: Array, couch: Array) -> Array:
    """``ring`` with the holes of each axial slice, and with lungs that the border of the image or of the scanned circle cuts open."""
    filled = np.empty_like(ring)
    dark = max(OUTSIDE_AIR_HU, int(hu.min()) + NOISE_HU)
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
            if np.median(image[region]) < dark or behind[region].mean() < 0.5:
                outside |= region
        filled[index] = ~outside
    return filled


def _touching(mask: Array, seeds: Array) -> Array:
    """The parts of a 2D ``mask`` that hold a voxel of ``seeds``."""
    labels, _ = ndimage.label(mask)
    return np.asarray(np.isin(labels, np.unique(labels[seeds & mask])) & mask)
