"""The chests from which samples are drawn: a CT at three resolutions, its lesions, and its other places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...core.components import CONNECTIVITY, largest_component
from ...core.resampling import resample_separable
from ...core.volume import AIR_HU, Array, Mask, Point, Volume, as_point
from ...refinement.candidates import CORE, SUSPECTED, deep_voxel, depth_mm, extent_mm
from ...refinement.views import Anatomy
from ..store import BORDER_MM, IGNORED, LUNG_BIT, MASK_BIT, closed_lungs
from .cases import BODY_BIT, LookCase, Scan

SITE_MM = 3.0
"""Distance between the positions at which a sample can begin, mm."""

DENSE_HU = -300.0
"""HU above which a site of the isolation mask is dense."""

SMALLEST_ML = 0.03
"""Volume below which a lesion is no sample, mL."""

SUSPECTED_ML, OVERLAP = 0.06, 0.02
"""Smallest volume of a false positive, mL, and its largest share of labeled voxels."""

INSIDE = (0.5, 0.8)
"""The center of a sample lies at least at one of these shares of the lesion's largest depth, drawn at random."""

REDUCED_MM = ((52.0, (2.0, 1.3, 1.3)), (96.0, (3.0, 2.2, 2.2)))
"""Sides of the fine view, mm, from which reduced copies of a CT with this spacing suffice."""


@dataclass(frozen=True, eq=False)
class Level:
    """A CT at one resolution; arrays lie on the grid of ``ct``.

    Attributes:
        ct: HU.
        label: Labels, uint8.
        closed: The lungs with vessels and lesions filled, bool: the place for implants.
        mask: The isolation mask, bool.
        lungs: Both lungs, bool.
    """

    ct: Volume
    label: Array
    closed: Mask
    mask: Mask
    lungs: Mask

    def reduced(self, spacing_mm: tuple[float, float, float]) -> Level:
        """Return a copy whose spacing (slice, row, column) is at least ``spacing_mm``."""
        step = np.maximum(1.0, np.array(spacing_mm) / self.ct.spacing)
        size = [int((n - 1) / s) + 1 for n, s in zip(self.ct.shape, step, strict=True)]
        affine = self.ct.affine_from((0, 0, 0), step)
        hu = resample_separable(
            self.ct.array,
            start=(0.0, 0.0, 0.0),
            step=as_point(step),
            size=(size[0], size[1], size[2]),
            outside=AIR_HU,
        )
        nearest = np.ix_(
            *(
                np.minimum(np.rint(np.arange(n) * s).astype(int), most - 1)
                for n, s, most in zip(size, step, self.ct.shape, strict=True)
            )
        )
        ct = Volume(np.rint(hu).astype(np.int16), affine)
        return Level(ct, self.label[nearest], self.closed[nearest], self.mask[nearest], self.lungs[nearest])


@dataclass(frozen=True, eq=False)
class Lesion:
    """A labeled lesion of a background.

    Attributes:
        value: Its label.
        inside: Voxels (n, 3) deep in its largest component.
        extent_mm: Longest side of that component's bounding box, mm.
    """

    value: int
    inside: Mask
    extent_mm: float


@dataclass(frozen=True)
class FalsePositive:
    """What the first network suspects outside all lesions.

    Attributes:
        center: A voxel deep inside, LPS mm.
        extent_mm: Longest side of its bounding box, mm.
        volume_ml: Its volume, mL.
    """

    center: Point
    extent_mm: float
    volume_ml: float


class Background:
    """A chest from which samples are drawn.

    Attributes:
        source: Where it comes from.
        is_phantom: Whether it is a phantom.
        levels: The CT at its own resolution, and two reduced copies.
        anatomy: The CT reduced for coarse views.
        sites: Voxels (n, 3) outside all lesions, by name: ``lung`` (and all that it encloses), ``border`` (of the
            lung), ``soft`` (isolation mask outside the lung), ``dense`` (of the isolation mask) and ``body`` (outside
            the mask).
        lesions: The labeled lesions.
        false_positives: What the first network suspects outside all lesions.
    """

    def __init__(self, case: LookCase) -> None:
        """Read a case into memory and find the places from which samples are drawn."""
        ct, label, region = Volume(np.array(case.ct.array), case.affine), np.array(case.label), case.region
        mask, lungs, body = ((region & bit) > 0 for bit in (MASK_BIT, LUNG_BIT, BODY_BIT))
        step = np.maximum(1, np.rint(SITE_MM / np.array(ct.spacing))).astype(int)
        spacing_mm = step * np.array(ct.spacing)
        few = tuple(slice(None, None, int(each)) for each in step)
        closed = closed_lungs(lungs[few], as_point(spacing_mm))
        whole = closed
        for axis, each in enumerate(step):
            whole = np.repeat(whole, each, axis)
        native = Level(ct, label, whole[tuple(slice(n) for n in ct.shape)], mask, lungs)
        self.source, self.is_phantom = case.source, case.is_phantom
        self.levels = (native, *(native.reduced(spacing) for _, spacing in REDUCED_MM))
        self.anatomy = Anatomy.of(ct, lungs)
        inward_mm = np.asarray(ndimage.distance_transform_edt(closed, sampling=spacing_mm))
        free = label[few] == 0
        places = {
            "lung": closed,
            "border": (inward_mm > 0) & (inward_mm <= BORDER_MM),
            "soft": mask[few] & ~closed,
            "dense": mask[few] & (ct.array[few] > DENSE_HU),
            "body": body[few] & ~mask[few],
        }
        self.sites = {name: np.argwhere(place & free) * step for name, place in places.items()}
        self.lesions = find_lesions(label, ct)
        self.false_positives = find_false_positives(case.scan)

    def level(self, side_mm: float) -> Level:
        """Return the resolution that suffices for a fine view of this side, mm."""
        return self.levels[sum(side_mm >= side for side, _ in REDUCED_MM)]


def find_lesions(label: Array, ct: Volume) -> list[Lesion]:
    """Return the labeled lesions of at least ``SMALLEST_ML``, each by its largest component.

    Args:
        label: Labels (slice, row, column) on the grid of ``ct``: 0, 1 ... n, ``IGNORED``.
        ct: The CT.
    """
    found = []
    for value in np.unique(label[(label > 0) & (label != IGNORED)]):
        mask = largest_component(label == value)
        if mask is None or np.count_nonzero(mask) * ct.voxel_volume_ml < SMALLEST_ML:
            continue
        inside = deep_voxels(mask, ct.spacing, INSIDE[0])
        found.append(Lesion(int(value), inside, extent_mm(mask, ct.spacing)))
    return found


def find_false_positives(scan: Scan) -> list[FalsePositive]:
    """Return what the first network suspects outside all lesions, at the thresholds of a candidate and of its core."""
    probability = scan.volume("probability")
    found = []
    for threshold in (SUSPECTED, CORE):
        labels, _ = ndimage.label(probability.array > threshold, structure=CONNECTIVITY)
        for number, part in enumerate(ndimage.find_objects(labels), start=1):
            mask = labels[part] == number
            volume_ml = float(np.count_nonzero(mask)) * probability.voxel_volume_ml
            if volume_ml < SUSPECTED_ML or (scan.label[part][mask] > 0).mean() > OVERLAP:
                continue
            index = deep_voxel(mask, probability.spacing) + [each.start for each in part]
            center = as_point(probability.index_to_lps(index))
            found.append(FalsePositive(center, extent_mm(mask, probability.spacing), volume_ml))
    return found


def deep_voxels(mask: Mask, spacing_mm: tuple[float, float, float], share: float) -> Array:
    """Return the voxels (n, 3) of a nonempty mask whose depth is at least ``share`` of its largest depth."""
    (part,) = ndimage.find_objects(mask.astype(np.uint8))
    depth = depth_mm(mask[part], spacing_mm)
    return np.asarray(np.argwhere(depth >= share * depth.max()) + [each.start for each in part])
