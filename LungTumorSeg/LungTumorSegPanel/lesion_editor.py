"""The embedded Segment Editor: which segmentation it works on, when it has views and keys, and its history."""

from typing import Any

import slicer
from LungTumorSegLib.mrml.history import State, state_of
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.mrml.results import ct_of

EFFECTS = ("Paint", "Erase", "Grow from seeds", "Scissors", "Islands", "Smoothing", "Margin", "Threshold")
"""In the order in which they help with tumors."""

EDITOR_TAG = "LungTumorSeg.SegmentEditor"
"""Singleton tag of the section's own editor node, which the scene keeps with brush sizes and all."""


class LesionEditor:
    """Slicer's editor widget in ``layout``, without what the panel has itself."""

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
        self.widget.undoEnabled = False  # hides its buttons alone; the history stays
        layout.addWidget(self.widget)
        self._segmentation: Node = None
        self._left: State | None = None  # how the segmentation was when the panel was left

    def work_on(self, segmentation: Node) -> None:
        """Edit this segmentation from now on."""
        self._segmentation = segmentation
        self.widget.setMRMLSegmentEditorNode(_editorNode())
        self.widget.setSegmentationNode(segmentation)
        self.widget.setSourceVolumeNode(ct_of(segmentation))

    def let_go(self) -> None:
        """Edit nothing, and hold neither keys nor views."""
        self.release()
        if self.widget.mrmlSegmentEditorNode() is not None:
            self.widget.setSegmentationNode(None)
            self.widget.setSourceVolumeNode(None)
        self._segmentation = None

    def close(self) -> None:
        """Let go of the scene too."""
        self.widget.setMRMLSegmentEditorNode(None)

    def occupy(self) -> None:
        """Take keys and views."""
        self.widget.setupViewObservations()
        self.widget.installKeyboardShortcuts()

    def release(self) -> None:
        """Give keys and views back."""
        self.stop_effect()
        self.widget.uninstallKeyboardShortcuts()
        self.widget.removeViewObservations()

    def stop_effect(self) -> None:
        """Let no effect be active."""
        if self.widget.mrmlSegmentEditorNode() is not None:
            self.widget.setActiveEffect(None)

    def remember(self) -> None:
        """Note how the segmentation is left."""
        self._left = state_of(self._segmentation) if self._segmentation is not None else None

    def forget_history_of_others(self) -> None:
        """What was edited elsewhere meanwhile is not in this editor's history: an undo to before it would take it away unasked."""
        if self._segmentation is not None and self._left not in (None, state_of(self._segmentation)):
            self.widget.setSegmentationNode(None)
            self.widget.setSegmentationNode(self._segmentation)
        self._left = None

    def choose(self, segment_id: str) -> None:
        """Make the segment the one that effects work on."""
        if self._segmentation.GetSegmentation().GetSegment(segment_id) is not None:
            self.widget.setCurrentSegmentID(segment_id)

    def paint(self, segment_id: str) -> None:
        """Choose the segment and the brush."""
        self.choose(segment_id)
        self.widget.setActiveEffectByName("Paint")

    def keep_inside(self, inside: bool) -> None:
        """Let effects change nothing outside the segments that are there, or everything."""
        node = self.widget.mrmlSegmentEditorNode()
        if node is not None:
            kind = slicer.vtkMRMLSegmentationNode
            node.SetMaskMode(kind.EditAllowedInsideAllSegments if inside else kind.EditAllowedEverywhere)

    # History: effects and the panel's buttons are undone in the order in which they were done

    def save(self) -> None:
        """Remember the segmentation as it is, to be undone to."""
        self.widget.saveStateForUndo()

    def undo(self) -> bool:
        """Take the last step back; False where there is none."""
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
        node.SetOverwriteMode(node.OverwriteNone)  # lungs stay whole beneath what is painted
    return node
