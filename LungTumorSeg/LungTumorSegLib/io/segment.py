"""A segment of a segmentation, independent of its file format."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..core.volume import Volume

UNSPECIFIED_COLORS = (
    (0.50, 0.68, 0.50),
    (0.95, 0.84, 0.57),
    (0.69, 0.48, 0.40),
    (0.44, 0.72, 0.82),
    (0.85, 0.40, 0.31),
)
"""Colors, used in turn, for segments from files that state none."""


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment of a segmentation.

    Attributes:
        name: Name for display.
        mask: Boolean mask. A mask that was read from a file is a ``SparseMask``, which stores only the box of the true
            voxels.
        color: Red, green and blue from 0 to 1.
        terminology: Slicer's serialized entry.
        id: Identifier, unique within a segmentation; by default it is derived from the name.
        review: "confirmed" or "rejected" if the lesion has been reviewed, otherwise "".
        tracking_uid: Identifier that the lesion keeps in all studies of the patient (DICOM Tracking UID); "" if it has
            none yet.
        warnings: Sentences for the user about everything that was substituted when the mask was read.
    """

    name: str
    mask: Volume
    color: tuple[float, float, float]
    terminology: str
    id: str = ""
    review: str = ""
    warnings: tuple[str, ...] = ()
    tracking_uid: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.id or re.sub(r"\W+", "_", self.name))
