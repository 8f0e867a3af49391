"""The outlines of the earlier lesions, carried to where they would lie in the later CT."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from ..core import terminology
from ..core.boxes import unite_masks
from ..core.colors import lesion_color
from ..core.points import lies_in
from ..core.volume import Grid, Volume
from ..io.segment import Segment
from .lesion import TimedLesion
from .registration import Registration
from .track import Track

MARGIN_VOXELS = 2
"""Width of the surroundings of the expected place in which voxels of a carried lesion are looked for."""


def carry_lesions(tracks: Sequence[Track], registration: Registration, grid: Grid) -> list[Segment]:
    """Return one segment per lesion that was there in the earlier examination.

    Its voxels are those of the later CT that the registration maps into the earlier outline. A lesion that would lie
    outside the later CT is omitted.

    Args:
        tracks: The lesions over time.
        registration: The registration of the last two examinations.
        grid: The grid of the later examination.

    Returns:
        The segments; the id of each is that of its lesion.
    """
    found = []
    for number, track in enumerate(tracks, start=1):
        masks = [_carried(lesion, registration, grid) for lesion in track.earlier]
        there = [mask for mask in masks if mask is not None]
        if there:
            name = f"{' + '.join(lesion.name for lesion in track.earlier)} (earlier)"
            found.append(
                Segment(name, reduce(unite_masks, there), lesion_color(number), terminology.TUMOR[None], id=track.id)
            )
    return found


def _carried(lesion: TimedLesion, registration: Registration, grid: Grid) -> Volume | None:
    index = grid.lps_to_index(registration.to_later(lesion.points_lps))
    coarse = np.ceil(np.max(lesion.crop.mask.spacing) / np.asarray(grid.spacing)).astype(int)
    low = np.maximum(np.floor(index.min(axis=0)).astype(int) - MARGIN_VOXELS - coarse, 0)
    high = np.minimum(np.ceil(index.max(axis=0)).astype(int) + MARGIN_VOXELS + coarse + 1, grid.shape)
    if (high <= low).any():
        return None
    places = np.indices(tuple(high - low)).reshape(3, -1).T + low
    inside = lies_in(lesion.crop.mask, registration.to_earlier(grid.index_to_lps(places)))
    if not inside.any():
        return None
    return Volume(inside.reshape(tuple(high - low)), grid.affine_from(low))
