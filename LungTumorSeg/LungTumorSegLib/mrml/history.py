"""Taking back what was done to a segmentation."""

from __future__ import annotations

from typing import Protocol

import slicer

from .nodes import Node

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
