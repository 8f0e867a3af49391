"""Both CTs of a comparison side by side: the earlier one in the red slice view, the later one in the yellow one.

What the views and displays were before is stored in attributes of the nodes themselves, so that ``end`` restores them
also in a scene that was saved in between.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import slicer

from .nodes import EARLIER_ROLE, OUTLINES_ROLE, Node, one_drawing, ras_of
from .results import ct_of

BEFORE_ATTRIBUTE = "LungTumorSeg.BeforeSideBySide"
"""JSON of what a composite or display node was before."""

EARLIER_VIEW, LATER_VIEW = "Red", "Yellow"
FIELD_OF_VIEW_MM = 120.0
"""Width of both views around a lesion, the same in both, so that sizes can be compared by eye."""


def can_begin(later: Node) -> bool:
    """Return whether the earlier segmentation of the last comparison is in the scene, with its CT."""
    earlier = later.GetNodeReference(EARLIER_ROLE)
    return earlier is not None and ct_of(earlier) is not None and ct_of(later) is not None


@one_drawing()
def begin(later: Node) -> None:
    """Show each CT with its own outlines in its own view; the caller chooses the layout.

    The later view also has the outlines of the earlier lesions, where they would lie now.
    """
    earlier = later.GetNodeReference(EARLIER_ROLE)
    outlines = later.GetNodeReference(OUTLINES_ROLE)
    for view, segmentation, shown in (
        (EARLIER_VIEW, earlier, [earlier]),
        (LATER_VIEW, later, [later, outlines]),
    ):
        composite = _node(later, "vtkMRMLSliceCompositeNode", view)
        _remember(composite, {"background": composite.GetBackgroundVolumeID(), "linked": composite.GetLinkedControl()})
        composite.SetLinkedControl(False)  # linked views show the same place, but a lesion has another in each CT
        composite.SetBackgroundVolumeID(ct_of(segmentation).GetID())
        for node in shown:
            if node is not None and node.GetDisplayNode() is not None:
                display = node.GetDisplayNode()
                _remember(display, {"views": list(display.GetViewNodeIDs() or ())})
                _restrict(display, [_node(later, "vtkMRMLSliceNode", view).GetID()])


@one_drawing()
def show_lesion(later: Node, lesion: Mapping[str, Any]) -> None:
    """Center each view on a lesion of followup.json in its own CT, axial, with the same scale."""
    earlier = later.GetNodeReference(EARLIER_ROLE)
    for view, segmentation, place in (
        (EARLIER_VIEW, earlier, lesion["earlier_place_lps_mm"]),
        (LATER_VIEW, later, lesion["place_lps_mm"]),
    ):
        if place is not None:
            world = [0.0, 0.0, 0.0]
            segmentation.TransformPointToWorld(ras_of(place), world)
            node = _node(later, "vtkMRMLSliceNode", view)
            node.SetOrientation("Axial")
            width, height, depth = node.GetFieldOfView()
            node.SetFieldOfView(FIELD_OF_VIEW_MM, FIELD_OF_VIEW_MM * height / width, depth)
            node.JumpSliceByCentering(*world)


@one_drawing()
def end(scene: Node) -> None:
    """Restore the views and displays of a scene."""
    for class_name in ("vtkMRMLSliceCompositeNode", "vtkMRMLSegmentationDisplayNode"):
        for node in slicer.util.getNodesByClass(class_name, scene):
            text = node.GetAttribute(BEFORE_ATTRIBUTE)
            if text:
                _restore(node, json.loads(text))
                node.RemoveAttribute(BEFORE_ATTRIBUTE)


def _restore(node: Node, before: Mapping[str, Any]) -> None:
    if "views" in before:
        _restrict(node, before["views"])
    else:
        node.SetBackgroundVolumeID(before["background"])
        node.SetLinkedControl(before["linked"])


def _remember(node: Node, before: Mapping[str, Any]) -> None:
    if not node.GetAttribute(BEFORE_ATTRIBUTE):
        node.SetAttribute(BEFORE_ATTRIBUTE, json.dumps(before))


def _restrict(display: Node, view_ids: Sequence[str]) -> None:
    display.RemoveAllViewNodeIDs()
    for view_id in view_ids:
        display.AddViewNodeID(view_id)


def _node(later: Node, class_name: str, view: str) -> Node:
    return later.GetScene().GetSingletonNode(view, class_name)
