"""The embedded Segment Editor: its segmentation, its use of views and keyboard shortcuts, and its history."""

from typing import Any

import slicer
from LungTumorSegLib.mrml.history import State, state_of
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.mrml.results import ct_of

EFFECTS = ("Paint", "Erase", "Grow from seeds", "Scissors", "Islands", "Smoothing", "Margin", "Threshold")
"""In the order of their use for tumors."""

EDITOR_TAG = "LungTumorSeg.SegmentEditor"
"""Singleton tag of the section's own editor node, which the scene stores with settings such as the brush size."""


class LesionEditor:
    """Slicer's editor widget in ``layout``, without the controls that the panel itself provides."""

    def __init__(self, layout: Any) -> None:
        self.widget = slicer.qMRMLSegmentEditorWidget()
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.widget.setEffectNameOrder(EFFECTS)
        self.widget.unorderedEffectsVisible = False
        self.widget.setSegmentationNodeSelectorVisible(False)
        self.widget.setSourceVolumeNodeSelectorVisible(False)
        self.widget.setSwitchToSegmentationsButtonVisible(False)
        self.widget.addRemoveSegmentButtonsVisible = False
        self.widget.show3DButtonVisible = False
        self.widget.specifyGeometryButtonVisible = False
        self.widget.maskingSectionVisible = False  # it would widen the panel
        self.widget.undoEnabled = False  # hides only its buttons; the history stays active
        layout.addWidget(self.widget)
        self._segmentation: Node = None
        self._left: State | None = None  # the state when the panel was left

    def work_on(self, segmentation: Node) -> None:
        """Edit this segmentation from now on."""
        self._segmentation = segmentation
        self.widget.setMRMLSegmentEditorNode(_editorNode())
        self.widget.setSegmentationNode(segmentation)
        self.widget.setSourceVolumeNode(ct_of(segmentation))

    def let_go(self) -> None:
        """Stop editing, and release keyboard shortcuts and views."""
        self.release()
        if self.widget.mrmlSegmentEditorNode() is not None:
            self.widget.setSegmentationNode(None)
            self.widget.setSourceVolumeNode(None)
        self._segmentation = None

    def close(self) -> None:
        """Release the editor node."""
        self.widget.setMRMLSegmentEditorNode(None)

    def occupy(self, *, keys: bool = True) -> None:
        """Take over views and keyboard shortcuts; without ``keys``, leave the shortcuts to others."""
        self.widget.setupViewObservations()
        if keys:
            self.widget.installKeyboardShortcuts()
        else:
            self.widget.uninstallKeyboardShortcuts()

    def release(self) -> None:
        """Release keyboard shortcuts and views."""
        self.stop_effect()
        self.widget.uninstallKeyboardShortcuts()
        self.widget.removeViewObservations()

    def stop_effect(self) -> None:
        """Deactivate the active effect."""
        if self.widget.mrmlSegmentEditorNode() is not None:
            self.widget.setActiveEffect(None)

    def remember(self) -> None:
        """Record the state of the segmentation when the panel is left."""
        self._left = state_of(self._segmentation) if self._segmentation is not None else None

    def forget_history_of_others(self) -> None:
        """Clear the history if the segmentation was edited in another module.

        Those edits are not in this editor's history, so undoing an older step would remove them without notice.
        """
        if self._segmentation is not None and self._left not in (None, state_of(self._segmentation)):
            self.widget.setSegmentationNode(None)
            self.widget.setSegmentationNode(self._segmentation)
        self._left = None

    def choose(self, segment_id: str) -> None:
        """Select the segment for the effects."""
        if self._segmentation.GetSegmentation().GetSegment(segment_id) is not None:
            self.widget.setCurrentSegmentID(segment_id)

    def paint(self, segment_id: str) -> None:
        """Select the segment and activate the Paint effect."""
        self.choose(segment_id)
        self.widget.setActiveEffectByName("Paint")

    def keep_inside(self, inside: bool) -> None:
        """Restrict effects to the inside of existing segments, or allow them everywhere."""
        node = self.widget.mrmlSegmentEditorNode()
        if node is not None:
            kind = slicer.vtkMRMLSegmentationNode
            node.SetMaskMode(kind.EditAllowedInsideAllSegments if inside else kind.EditAllowedEverywhere)

    # One history for effects and buttons, so that steps are undone in the order in which they were made

    def save(self) -> None:
        """Save the current state of the segmentation for undo."""
        self.widget.saveStateForUndo()

    def undo(self) -> bool:
        """Undo the last step; return False if there is nothing to undo."""
        segmentation = self.widget.segmentationNode()
        before = state_of(segmentation)
        self.widget.undo()
        return state_of(segmentation) != before


def _editorNode() -> Node:
    node = slicer.mrmlScene.GetSingletonNode(EDITOR_TAG, "vtkMRMLSegmentEditorNode")
    if node is None:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
        node.UnRegister(None)
        node.SetSingletonTag(EDITOR_TAG)
        node = slicer.mrmlScene.AddNode(node)
        node.SetOverwriteMode(node.OverwriteNone)  # painting does not cut holes into the lungs
    return node
