"""Outlines painted on the grid of the CT, as the report on lesions needs them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..core.crops import Crop
from ..core.volume import Volume

if TYPE_CHECKING:
    from .outline import Outline


@dataclass(frozen=True, eq=False)
class OutlinedLesions:
    """The lesions of a CT before they are measured, on the grid of the CT.

    Attributes:
        tumor: All lesions (bool).
        certainty: Probability that the lesion in a voxel is a tumor, float32: that of the surest one where lesions
            overlap, and 0 outside of all lesions. None if the second network has not looked at them.
        lesions: Masks that are one lesion each, connected or not. Elsewhere, each component is a lesion.
        warnings: Sentences for the user, such as about places that do not look like a tumor.
    """

    tumor: Volume
    certainty: Volume | None = None
    lesions: tuple[Crop, ...] = ()
    warnings: tuple[str, ...] = ()


def paint_outlines(outlines: Iterable[Outline], ct: Volume, warnings: Iterable[str] = ()) -> OutlinedLesions:
    """Paint outlines on the grid of a CT.

    Args:
        outlines: The outlines; those without a mask leave no trace.
        ct: The CT.
        warnings: Sentences for the user that the result carries.
    """
    tumor, certainty = np.zeros(ct.shape, bool), np.zeros(ct.shape, np.float32)
    lesions = []
    for outline in outlines:
        if outline.mask is not None:
            here, mask = outline.mask.slices, outline.mask.mask.array
            tumor[here] |= mask
            np.maximum(certainty[here], np.where(mask, np.float32(outline.tumor), 0), out=certainty[here])
            lesions.append(outline.mask)
    return OutlinedLesions(Volume(tumor, ct.affine), Volume(certainty, ct.affine), tuple(lesions), tuple(warnings))
