"""Outline what lies at a point, or in a box, that the user gave; the first network is not needed.

The size of a lesion at a point is unknown, so the second network looks at several scales. It then looks once more from
the middle of the best outline, at the scale that fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.boxes import box_of
from ..core.crops import Crop, trimmed_crop_at
from ..core.errors import UnusableInput
from ..core.volume import Point, Volume
from .borders import at_edges
from .calibration import TUMOR_LOGIT, Calibration
from .candidates import deep_voxel, extent_mm
from .look import MIRRORED, TURNED, Look, SecondReader
from .views import SIDE_PER_EXTENT, side_for_extent

SIDES_MM = (28.0, 56.0, 112.0)
"""Sides of the views of a point, mm; neighbors differ by less than the network's tolerance."""

SCALE_PENALTY = 1.0
"""Logits that a look loses for each octave between the side of its view and the side that would fit."""

LOOKS_AGAIN = (MIRRORED, TURNED)
"""Views of each look from the middle of the look before."""


@dataclass(frozen=True, eq=False)
class Outline:
    """What the second network sees at a place, or where the first one suspects a lesion.

    Attributes:
        mask: The outline on the CT's grid; None if there is nothing.
        tumor: Probability that it is a tumor, 0 to 1.
    """

    mask: Crop | None
    tumor: float


def outline_point(reader: SecondReader, by: Calibration, point: Point) -> Outline:
    """Outline what lies at a point.

    Args:
        reader: The second network with the CT.
        by: The regression that gives the probability of a click.
        point: The point, LPS mm.

    Raises:
        UnusableInput: The point lies outside the CT.
    """
    check_inside(reader.ct, point)
    looks = [reader.look(point, side) for side in SIDES_MM]
    return _final_outline(reader, by, max(looks, key=_fit))


def outline_box(reader: SecondReader, by: Calibration, first: Sequence[float], last: Sequence[float]) -> Outline:
    """Outline the lesion in a box.

    Args:
        reader: The second network with the CT.
        by: The regression that gives the probability of a click.
        first: A corner of the box, LPS mm.
        last: The opposite corner, LPS mm.

    Raises:
        UnusableInput: The middle of the box lies outside the CT.
    """
    low, high = np.minimum(first, last), np.maximum(first, last)
    x, y, z = ((low + high) / 2).tolist()
    check_inside(reader.ct, (x, y, z))
    return _final_outline(reader, by, reader.look((x, y, z), side_for_extent(float((high - low).max()))))


def look_again(reader: SecondReader, look: Look) -> Look:
    """Look again from the middle of what was seen, at the scale that fits, and return the last look."""
    for views in LOOKS_AGAIN:
        if not look.mask.any():
            break
        again = reader.look(_middle(look, reader.ct), side_for_extent(_extent_mm(look)), views)
        if not again.mask.any():
            break
        look = again
    return look


def outline_on_ct(look: Look, ct: Volume) -> Crop | None:
    """Carry the outline of a look to the CT's grid, its border to the edge there; None if nothing is left."""
    inside, where = look.cube.carry_back(np.where(look.mask, look.inside, np.float32(0)), ct)
    mask = trimmed_crop_at(inside > 0.5, box_of(where), ct)
    return None if mask is None else at_edges(mask, ct)


def _final_outline(reader: SecondReader, by: Calibration, look: Look) -> Outline:
    last = look_again(reader, look)
    return Outline(outline_on_ct(last, reader.ct), by.probability({TUMOR_LOGIT: last.tumor_logit}))


def _fit(look: Look) -> float:
    """Return how well a scale fits: the logit of a tumor, less a penalty for a mask that is too small or too large."""
    if not look.mask.any():
        return -np.inf
    octaves = np.log2(SIDE_PER_EXTENT * _extent_mm(look) / look.cube.side_mm)
    return float(look.tumor_logit - SCALE_PENALTY * abs(octaves))


def _extent_mm(look: Look) -> float:
    return extent_mm(look.mask, (look.cube.voxel_mm,) * 3)


def _middle(look: Look, ct: Volume) -> Point:
    """Return a point deep inside the mask, LPS mm, near its middle."""
    return look.cube.to_lps(deep_voxel(look.mask, (look.cube.voxel_mm,) * 3), ct)


def check_inside(ct: Volume, point: Sequence[float], hint: str = "") -> None:
    """Check that a point, LPS mm, lies in a CT.

    Args:
        ct: The CT.
        point: The point.
        hint: End of the message: what the user can do.

    Raises:
        UnusableInput: It does not.
    """
    index = np.asarray(ct.lps_to_index(point))
    if (index < -0.5).any() or (index > np.asarray(ct.shape) - 0.5).any():
        x, y, z = point
        raise UnusableInput(f"The point ({x:g}, {y:g}, {z:g}) lies outside the CT{hint}.")
