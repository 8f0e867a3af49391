"""Both CTs of a comparison side by side: the earlier one in the red slice view, the later one in the yellow one.

Both views are linked by ``LinkedViews`` and not by Slicer's own link, which shows the same place in both, because a
lesion has another place in each CT.

What the views and displays were before is stored in attributes of the nodes themselves, so that ``end`` restores them
also in a scene that was saved in between.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import slicer
from vtk import vtkCommand

from ..core.volume import Array
from .followup import comparison_of
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
        composite.SetLinkedControl(False)  # both views are linked by LinkedViews
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
            _set_width(node, FIELD_OF_VIEW_MM)
            node.SetSliceOrigin(0, 0, 0)  # where the user has dragged the image to
            node.JumpSliceByCentering(*world)


class LinkedViews:
    """Keeps both views at the same place of the patient.

    What the user scrolls, drags, zooms or turns in one view happens in the other one. The place in the other CT is that
    of the affine part of the alignment, shifted so that the lesion lies at its own place in both.
    """

    def __init__(self, later: Node, lesion: Mapping[str, Any]) -> None:
        """Link the views.

        Args:
            later: The later segmentation.
            lesion: The entry of followup.json on which both views are centered.
        """
        self._later, self._earlier = later, later.GetNodeReference(EARLIER_ROLE)
        self._to_earlier = _local_affine(comparison_of(later)["registration"], lesion)
        self._views = {view: _node(later, "vtkMRMLSliceNode", view) for view in (EARLIER_VIEW, LATER_VIEW)}
        self._moving = False
        event = vtkCommand.ModifiedEvent
        self._tags = [(node, node.AddObserver(event, self._on_moved)) for node in self._views.values()]

    def release(self) -> None:
        """Leave the views to themselves."""
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags = []

    def _on_moved(self, moved: Node, event: str) -> None:
        if self._moving or self._earlier.GetScene() is None:
            return
        self._moving = True
        try:
            self._follow(moved)
        finally:
            self._moving = False

    @one_drawing()
    def _follow(self, moved: Node) -> None:
        is_later = moved is self._views[LATER_VIEW]
        other = self._views[EARLIER_VIEW if is_later else LATER_VIEW]
        here, there = (self._later, self._earlier) if is_later else (self._earlier, self._later)
        affine = self._to_earlier if is_later else np.linalg.inv(self._to_earlier)
        own, local, world = moved.GetSliceToRAS(), [0.0] * 3, [0.0] * 3
        here.TransformPointFromWorld([own.GetElement(i, 3) for i in range(3)], local)
        place = affine[:3, :3] @ ras_of(local) + affine[:3, 3]
        there.TransformPointToWorld(ras_of(place.tolist()), world)
        matrix = other.GetSliceToRAS()
        for i in range(3):
            for j in range(3):
                matrix.SetElement(i, j, own.GetElement(i, j))
            matrix.SetElement(i, 3, world[i])
        other.UpdateMatrices()
        _set_width(other, moved.GetFieldOfView()[0])
        x, y, _ = moved.GetXYZOrigin()
        other.SetSliceOrigin(x, y, other.GetXYZOrigin()[2])


def _local_affine(registration: Mapping[str, Any], lesion: Mapping[str, Any]) -> Array:
    """Return the affine transform (4 x 4), LPS mm, from later to earlier points that maps a lesion to its own place.

    Scenes of earlier versions do not state the transform; it is a shift then.
    """
    affine = np.array(registration.get("affine_to_earlier", np.eye(4)), dtype=float)
    places = lesion["place_lps_mm"], lesion["earlier_place_lps_mm"]
    if None not in places:
        affine[:3, 3] = np.array(places[1]) - affine[:3, :3] @ places[0]
    return affine


def _set_width(view: Node, width_mm: float) -> None:
    """Set the width of a slice view, mm; its height follows from its shape."""
    width, height, depth = view.GetFieldOfView()
    view.SetFieldOfView(width_mm, width_mm * height / width, depth)


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
