"""What the views show of a comparison: outlines of the earlier lesions, and colors of growth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import slicer

from ..core.colors import GROWTH_COLORS, Color
from .followup import Comparison, comparison_of
from .nodes import (
    EARLIER_FOLDER_ATTRIBUTE,
    EARLIER_ROLE,
    FOLLOW_UP_ATTRIBUTE,
    OUTLINES_ROLE,
    Node,
    one_drawing,
    place_beside,
    ras_of,
    referenced,
)
from .results import ct_of


@one_drawing()
def show_comparison(later: Node, found: Comparison) -> Node:
    """Keep a comparison with the later segmentation, and outline the earlier lesions in its slice views.

    Returns:
        The segmentation node of the outlines.
    """
    later.SetAttribute(FOLLOW_UP_ATTRIBUTE, json.dumps(found.data, ensure_ascii=False))
    folder = found.earlier if isinstance(found.earlier, Path) else None
    later.SetNodeReferenceID(EARLIER_ROLE, None if isinstance(found.earlier, Path) else found.earlier.GetID())
    later.SetAttribute(EARLIER_FOLDER_ATTRIBUTE, None if folder is None else str(folder))
    node = referenced(later, OUTLINES_ROLE, "vtkMRMLSegmentationNode", f"{later.GetName()} earlier lesions")
    node.SetAndObserveSegmentation(found.outlines)
    volume = ct_of(later)
    if volume is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        place_beside(node, volume)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetVisibility2DFill(False)
    display.SetVisibility3D(False)
    return node


def growth_color(lesion: Mapping[str, Any]) -> Color:
    """Return the color of what became of a lesion of followup.json."""
    fate = lesion["size_status"] or lesion["status"]
    return GROWTH_COLORS["shrunk" if fate == "gone" else fate]


@one_drawing()
def color_by_growth(later: Node, on: bool) -> None:
    """Color the lesions in all views by what became of them, or by their own colors again.

    The colors of the segments stay as they are; only their display changes.
    """
    display, segments = later.GetDisplayNode(), later.GetSegmentation()
    colors = {
        piece["segment"]: growth_color(lesion)
        for lesion in comparison_of(later).get("lesions", [])
        for piece in lesion["later"]
    }
    for segment_id in segments.GetSegmentIDs():
        color = colors.get(segments.GetSegment(segment_id).GetName()) if on else None
        if color is None:
            display.UnsetSegmentOverrideColor(segment_id)
        else:
            display.SetSegmentOverrideColor(segment_id, *color)


def is_colored_by_growth(later: Node) -> bool:
    """Return whether the lesions have the colors of what became of them."""
    display, ids = later.GetDisplayNode(), later.GetSegmentation().GetSegmentIDs()
    return display is not None and any(min(display.GetSegmentOverrideColor(each)) >= 0 for each in ids)


@one_drawing()
def show_place(later: Node, lesion: Mapping[str, Any] | None) -> None:
    """Center all slice views on a lesion of followup.json, and outline only what it was before.

    Args:
        later: The later segmentation.
        lesion: The entry of the lesion; None outlines all lesions and leaves the views.
    """
    node = later.GetNodeReference(OUTLINES_ROLE)
    if node is not None and node.GetDisplayNode() is not None:
        for segment_id in node.GetSegmentation().GetSegmentIDs():
            visible = lesion is None or segment_id == lesion["id"]
            node.GetDisplayNode().SetSegmentVisibility(segment_id, visible)
    if lesion is not None and lesion["place_lps_mm"] is not None:
        world = [0.0, 0.0, 0.0]
        later.TransformPointToWorld(ras_of(lesion["place_lps_mm"]), world)
        slicer.vtkMRMLSliceNode.JumpAllSlices(later.GetScene(), *world, slicer.vtkMRMLSliceNode.CenteredJumpSlice)
