"""A segment of a segmentation, whatever file it came from."""

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
"""Colors in turn for segments of files that name none."""


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment of a segmentation.

    Attributes:
        name: As a person reads it.
        mask: Bool; what is read from a file is a ``SparseMask``, which stores the box of the true voxels alone.
        color: Red, green and blue of 0 to 1.
        terminology: Slicer's serialized entry.
        id: Unique within a segmentation; by default it follows from the name.
        review: "confirmed" or "rejected" where a person has said so.
        warnings: What was substituted when the mask was read, in sentences for the user.
    """

    name: str
    mask: Volume
    color: tuple[float, float, float]
    terminology: str
    id: str = ""
    review: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.id or re.sub(r"\W+", "_", self.name))
