"""Scenes that an older version of the extension has saved.

Version 1 (0.1.0 before correction): a segmentation, its lesion table, the run's summary; neither the network's answer nor marks.
"""

from __future__ import annotations

import slicer

from .lesion_table import answer_of, fill_table, keep_answer, rows_with_marks, summary_of
from .nodes import SUMMARY_ATTRIBUTE, TABLE_ROLE, Node
from .results import is_edited

VERSION = 2
"""Of what a scene holds; stands in the parameter node."""


def upgrade(segmentation: Node) -> None:
    """Gives a result of version 1 what later ones have. Nothing happens to other segmentations, or a second time.

    The voxels are the network's answer if nobody has edited them; else it is not known, and there is nothing to go back to.
    """
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
