"""Undo for the segments of a segmentation."""

from __future__ import annotations

from typing import Protocol

import slicer

from .nodes import Node
from .segments import segments_of

UNDO_STEPS = 10
"""Number of steps that can be undone; Slicer's Segment Editor keeps as many."""


class History(Protocol):
    """Save and restore states of a segmentation.

    The Segment Editor implements this protocol with its own history, so that the steps of its effects can be undone
    too.
    """

    def save(self) -> None:
        """Save the current state."""
        ...

    def undo(self) -> bool:
        """Restore the last saved state; return False if no state is saved."""
        ...


class SegmentationHistory:
    """Slicer's own history of a segmentation (vtkSegmentationHistory), which the Segment Editor's effects use as well.

    It covers voxels, names, colors, tags and the order of all segments. States share the data that did not change.
    """

    def __init__(self, segmentation: Node) -> None:
        self._history = slicer.vtkSegmentationHistory()
        self._history.SetMaximumNumberOfStates(UNDO_STEPS)
        self._history.SetSegmentation(segmentation.GetSegmentation())

    def save(self) -> None:
        """Save the current state."""
        self._history.SaveState()

    def undo(self) -> bool:
        """Restore the last saved state; return False if no state is saved."""
        return bool(self._history.RestorePreviousState())


State = tuple[tuple[str, int, int], ...]
"""For each segment, in order: its id, the modified time of the segment and the modified time of its voxels."""


def state_of(segmentation: Node) -> State:
    """Return a value that changes whenever a segment or its voxels change.

    The modified time of the segmentation itself does not serve: Slicer's history and effects leave it unchanged.
    """
    content = segmentation.GetSegmentation()
    voxels = content.GetSourceRepresentationName()
    state = []
    for segment_id, segment in segments_of(content):
        image = segment.GetRepresentation(voxels)
        state.append((segment_id, segment.GetMTime(), 0 if image is None else image.GetMTime()))
    return tuple(state)
