"""Taking back what was done to a segmentation."""

from __future__ import annotations

from typing import Protocol

import slicer

from .nodes import Node
from .segments import segments_of

UNDO_STEPS = 10
"""As many as Slicer's Segment Editor keeps."""


class History(Protocol):
    """States of a segmentation to come back to; the Segment Editor has one of its own, which then serves its effects too."""

    def save(self) -> None: ...

    def undo(self) -> bool:
        """False where there is nothing to undo."""
        ...


class SegmentationHistory:
    """Slicer's own history of a segmentation (vtkSegmentationHistory): voxels, names, colors, tags, order of all segments.

    It shares what a step did not touch, covers every action here alike, and is what the Segment Editor's effects use.
    """

    def __init__(self, segmentation: Node) -> None:
        self._history = slicer.vtkSegmentationHistory()
        self._history.SetMaximumNumberOfStates(UNDO_STEPS)
        self._history.SetSegmentation(segmentation.GetSegmentation())

    def save(self) -> None:
        self._history.SaveState()

    def undo(self) -> bool:
        return bool(self._history.RestorePreviousState())


State = tuple[tuple[str, int, int], ...]
"""The id of each segment with the modified times of the segment and of its voxels, in order."""


def state_of(segmentation: Node) -> State:
    """Return something that changes whenever a segment or its voxels do.

    The modified time of the segmentation does not: Slicer's history and its effects leave it as it is.
    """
    content = segmentation.GetSegmentation()
    voxels = content.GetSourceRepresentationName()
    state = []
    for segment_id, segment in segments_of(content):
        image = segment.GetRepresentation(voxels)
        state.append((segment_id, segment.GetMTime(), 0 if image is None else image.GetMTime()))
    return tuple(state)
