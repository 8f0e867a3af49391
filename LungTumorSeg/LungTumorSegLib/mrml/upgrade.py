"""Scenes that an older version of the extension has saved.

Version 1 (0.1.0 before correction): a segmentation, its lesion table, the run's summary; neither the network's answer nor marks.
Version 2: the network's answer without a display node, so that Slicer shows it when the scene is loaded.
"""

from __future__ import annotations

import slicer

from .lesion_table import answer_of, fill_table, hide_answer, keep_answer, rows_with_marks, summary_of
from .nodes import SUMMARY_ATTRIBUTE, TABLE_ROLE, Node
from .results import is_edited

VERSION = 3
"""Of what a scene holds; stands in the parameter node."""


def upgrade(segmentation: Node) -> None:
    """Give a result of an older version what later ones have. Other segmentations stay as they are.

    The voxels of version 1 are the network's answer if nobody has edited them; else it is not known, and there is nothing to go back to.
    """
    hide_answer(segmentation)
    if (
        not segmentation.GetAttribute(SUMMARY_ATTRIBUTE)
        or answer_of(segmentation) is not None
        or is_edited(segmentation)
    ):
        return
    answer = slicer.vtkSegmentation()
    answer.SetSourceRepresentationName(segmentation.GetSegmentation().GetSourceRepresentationName())
    answer.DeepCopy(segmentation.GetSegmentation())
    answer.RemoveRepresentation(str(slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()))
    keep_answer(segmentation, answer)
    table = segmentation.GetNodeReference(TABLE_ROLE)
    if table is not None:
        fill_table(table, rows_with_marks(segmentation, summary_of(segmentation).get("lesions", [])))
