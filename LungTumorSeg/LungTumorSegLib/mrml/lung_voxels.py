"""What the lungs get back when a lesion loses voxels by a correction."""

from __future__ import annotations

from ..core import terminology
from ..core.volume import Volume
from .nodes import Node
from .segments import add_mask, mask_of, mask_on, segment_infos
from .stored_lesions import original_of

LUNGS = (terminology.LEFT_LUNG, terminology.RIGHT_LUNG, terminology.LUNGS)

MOSTLY_SURROUNDED = 0.5
"""A lesion lies in the lung if more than this share of the voxels just outside its surface is lung."""


def give_back(segmentation: Node, former: Volume | None) -> None:
    """Return the voxels of a former lesion to the lung to which they belonged before any correction."""
    content, original = segmentation.GetSegmentation(), original_of(segmentation)
    if original is None or former is None:
        return
    for info in segment_infos(original):
        if info.terminology in LUNGS and content.GetSegment(info.id) is not None:
            before, now = mask_of(original, info.id), mask_of(content, info.id)
            lost = former.array & mask_on(before, former) & ~mask_on(now, former)
            if lost.any():
                add_mask(segmentation, info.id, former.with_array(lost))


def fill_lung(segmentation: Node, former: Volume | None) -> None:
    """Add the voxels of a deleted lesion to the lung that surrounds it.

    A run removes lesion voxels from the lungs, so a lung would otherwise keep a hole. A mass in the mediastinum leaves
    no hole.
    """
    from ..correction.pieces import surrounded_share  # imports scipy, so only if needed

    if former is None:
        return
    content = segmentation.GetSegmentation()
    for info in segment_infos(content):
        lung = mask_of(content, info.id) if info.terminology in LUNGS else None
        if lung is not None and surrounded_share(former, lung) > MOSTLY_SURROUNDED:
            add_mask(segmentation, info.id, former)
