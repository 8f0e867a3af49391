"""Write the surface of each segment as a file of its own, ``<segment id>.vtp`` or another suffix, LPS mm.

The id comes from the file of the segmentation, so signs that would lead to another folder are replaced in the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core import terminology
from ..core.crops import crop_of
from ..core.portable_names import distinct_names
from ..core.surfaces import surface_of, write_surface
from ..io.segment import Segment
from ..report.views_3d import LUNG_GRID_MM

LUNGS = (terminology.LEFT_LUNG, terminology.RIGHT_LUNG, terminology.LUNGS)


def write_surfaces(segments: Sequence[Segment], folder: Path, suffix: str = "vtp") -> None:
    """Write the surfaces of all segments that have voxels; those of lungs on a coarser grid.

    Args:
        segments: The segments.
        folder: The folder for the files.
        suffix: "vtp", "stl", "obj" or "ply".

    Raises:
        MachineLimit: If a file cannot be written.
    """
    names = distinct_names([segment.id for segment in segments], "segment")
    for name, segment in zip(names, segments, strict=True):
        crop = crop_of(segment.mask)
        if crop is not None:
            grid_mm = LUNG_GRID_MM if segment.terminology in LUNGS else None
            write_surface(surface_of(crop.mask, grid_mm=grid_mm), folder / f"{name}.{suffix}")
