"""The rule by which further points change an outline.

An outline is extended by the outlines at the points that belong to the lesion. Then every voxel is cut off that is
nearer to a point that does not belong to the lesion than to all points that do, and so is every part that is left
without a connection to a point of the lesion.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..core.boxes import Box
from ..core.components import CONNECTIVITY
from ..core.crops import Crop, crop_at, trimmed_crop_at
from ..core.points import voxel_at
from ..core.volume import Array, Point, Volume


def ball_at(center: Point, radius_mm: float, ct: Volume) -> Crop:
    """Return the voxels of the CT whose centers lie in a ball, and the voxel that contains its center."""
    middle = voxel_at(center, ct)
    reach = np.ceil(radius_mm / np.asarray(ct.spacing)).astype(int)
    low, high = np.maximum(middle - reach, 0).tolist(), np.minimum(middle + reach + 1, ct.shape).tolist()
    box: Box = (low[0], low[1], low[2]), (high[0], high[1], high[2])
    index = np.moveaxis(np.indices(np.subtract(high, low)), 0, -1) + low
    ball = np.linalg.norm(ct.index_to_lps(index) - np.asarray(center), axis=-1) <= radius_mm
    ball[tuple(middle - low)] = True
    return crop_at(ball, box, ct)


def cut_off(mask: Crop, inner: Sequence[Point], outer: Sequence[Point], ct: Volume) -> Crop | None:
    """Cut off what belongs to points outside of the lesion.

    Args:
        mask: The outline.
        inner: Points of the lesion, LPS mm.
        outer: Points that do not belong to it, LPS mm.
        ct: The CT.

    Returns:
        The voxels that are nearer to a point of ``inner`` and connected with one; if no point of ``inner`` lies in the
        mask, the largest component. None if nothing is left.
    """
    index = np.argwhere(mask.mask.array)
    places = mask.mask.index_to_lps(index)
    kept = np.zeros(mask.mask.shape, bool)
    kept[tuple(index.T)] = _distance(places, inner) <= _distance(places, outer)
    labels, count = ndimage.label(kept, structure=CONNECTIVITY)
    if count == 0:
        return None
    voxels = [voxel_at(point, ct) - mask.box[0] for point in inner]
    own = {int(labels[tuple(v)]) for v in voxels if (v >= 0).all() and (v < labels.shape).all()} - {0}
    kept = np.isin(labels, list(own or {int(np.bincount(labels[kept]).argmax())}))
    return trimmed_crop_at(kept, mask.box, ct)


def _distance(places: Array, points: Sequence[Point]) -> Array:
    """Return the distance, mm, from each place (n, 3) to the nearest of several points."""
    return np.asarray(np.min([np.linalg.norm(places - np.asarray(point), axis=1) for point in points], axis=0))
