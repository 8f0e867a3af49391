"""Doubt whether head and feet of a CT are where its header states them."""

from __future__ import annotations

import numpy as np

from ..core.volume import Volume
from .airways import find_airways
from .carina import find_carina
from .spine import SpineAxis

TRACHEA_MM = 40.0
"""Smallest length of trachea beyond the carina that shows where the head is, mm.

On ten CTs of whole chests, 84 to 147 mm are visible. Below the carina, a bronchus that divides like a trachea when it
is turned upside down measures 15 mm (ibsi1_phantom).
"""

OFF_AXIS_MM = 10.0
"""Largest median distance of a trachea from the spine axis, sideways, mm.

It is 0.8 to 5.7 mm on eleven CTs; the bronchus named above lies 18 mm away.
"""


def is_upside_down(coarse: Volume, body: Volume, airways: Volume, axis: SpineAxis) -> bool:
    """Return whether the trachea divides toward the top of the CT.

    Args:
        coarse: The CT (HU, axial LPS) on the coarse grid.
        body: The body (bool) on the same grid.
        airways: The airways (bool) found with the direction that the header states; if they contain a carina, the CT is
            upright.
        axis: The spine axis.
    """
    if find_carina(airways) is not None:
        return False
    turned_ct, turned_body = (each.with_array(np.ascontiguousarray(each.array[::-1])) for each in (coarse, body))
    turned = find_airways(turned_ct, turned_body)
    carina = find_carina(turned)
    if carina is None:
        return False
    first = int(np.rint(turned.lps_to_index(np.array([carina]))[0, 0])) + 1
    columns = axis.columns(coarse)[::-1]
    occupied = [index for index in range(first, coarse.shape[0]) if turned.array[index].any()]
    if len(occupied) * coarse.spacing[0] < TRACHEA_MM:
        return False
    away = [abs(np.nonzero(turned.array[index])[1].mean() - columns[index]) for index in occupied]
    return float(np.median(away)) * coarse.spacing[2] <= OFF_AXIS_MM
