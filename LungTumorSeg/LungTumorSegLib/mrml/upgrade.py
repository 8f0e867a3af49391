"""Upgrade of scenes that were saved by an older version of the extension.

- Version 1 (0.1.0, before corrections): a segmentation, its lesion table and the summary of the run, but neither the
  network's result nor review marks.
- Version 2: the network's result has no display node, so Slicer shows it when the scene is loaded.
- Version 3: no choice of the second look; the logic takes that of the model.
"""

from __future__ import annotations

import slicer

from .nodes import SUMMARY_ATTRIBUTE, TABLE_ROLE, Node
from .results import is_edited
from .stored_lesions import fill_table, hide_original, keep_original, original_of, rows_with_marks, summary_of

VERSION = 4
"""Version of the content of a scene; stored in the parameter node."""


def upgrade(segmentation: Node) -> None:
    """Bring a result of an older version to the current one; other segmentations are unchanged.

    The voxels of a version 1 result are taken as the network's result if nobody edited them. Otherwise the network's
    result is unknown, and the segmentation cannot be reset.
    """
    hide_original(segmentation)
    if (
        not segmentation.GetAttribute(SUMMARY_ATTRIBUTE)
        or original_of(segmentation) is not None
        or is_edited(segmentation)
    ):
        return
    original = slicer.vtkSegmentation()
    original.SetSourceRepresentationName(segmentation.GetSegmentation().GetSourceRepresentationName())
    original.DeepCopy(segmentation.GetSegmentation())
    original.RemoveRepresentation(str(slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()))
    keep_original(segmentation, original)
    table = segmentation.GetNodeReference(TABLE_ROLE)
    if table is not None:
        fill_table(table, rows_with_marks(segmentation, summary_of(segmentation).get("lesions", [])))
