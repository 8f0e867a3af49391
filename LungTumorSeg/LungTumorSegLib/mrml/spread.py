"""Display of the spread in Slicer's views: colors, margins, zones and rulers, computed from the current segments.

Everything that is drawn beside the segmentation has nodes of its own, which are removed when it is hidden. The colors
of the segments themselves do not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy.spatial.distance import cdist

from ..core.boxes import mask_on_grid, unite_masks
from ..core.colors import ZONE_COLORS, Color, margin_color
from ..core.crops import crop_of
from ..core.selection import lung_pair, may_be_lesion
from ..core.terminology import LEFT_LUNG, MARGIN, REJECTED, RIGHT_LUNG
from ..core.volume import Volume
from ..lesions import Ruler, lung_zones, margins
from ..lesions.diameters import axial_diameters
from ..lesions.location import Sides
from ..lesions.measurements import centroid_lps
from ..report.color_maps import ColorBy, Coloring, coloring
from .nodes import (
    COLOR_BY_ATTRIBUTE,
    MARGINS_ROLE,
    RULERS_ROLE,
    SEGMENT_ATTRIBUTE,
    ZONES_ROLE,
    Node,
    one_drawing,
    ras_of,
    referenced,
)
from .results import ct_of
from .segment_display import show_lungs
from .segments import mask_of, segment_infos, set_mask
from .stored_lesions import lesions_of

RULER_GLYPH_SCALE, RULER_TEXT_SCALE = 1.0, 2.0
"""Percent of the view size; Slicer's default of 3.0 covers small lesions."""

MARGIN_OPACITY_3D, ZONE_OPACITY_3D = 0.15, 0.25


@dataclass(frozen=True, eq=False)
class _Lesion:
    """A lesion of the segmentation.

    Attributes:
        id: The segment id.
        name: The segment name.
        color: The segment color.
        number: The position among the lesions, from 1.
        mask: The voxels (bool, LPS, canonical axes).
    """

    id: str
    name: str
    color: Color
    number: int
    mask: Volume


@one_drawing()
def color_lesions(segmentation: Node, by: ColorBy) -> Coloring:
    """Color the lesions in all views and store the choice in the scene.

    Slicer's list of segments continues to show the segments' own colors, which are also saved to files.

    Args:
        segmentation: The segmentation whose lesions are colored.
        by: "number" restores the color of each segment.

    Returns:
        The colors with their legend.
    """
    segmentation.SetAttribute(COLOR_BY_ATTRIBUTE, None if by == "number" else by)
    rows = lesions_of(segmentation)
    found = coloring(rows, by)
    content, display = segmentation.GetSegmentation(), segmentation.GetDisplayNode()
    for row, color in zip(rows, found.colors, strict=True):
        segment_id = row.segment_id or content.GetSegmentIdBySegmentName(row.segment)
        if content.GetSegment(segment_id) is None or display is None:
            continue
        if by == "number":
            display.UnsetSegmentOverrideColor(segment_id)
        else:
            display.SetSegmentOverrideColor(segment_id, *color)
    return found


@one_drawing()
def show_margins(segmentation: Node, distances_mm: Sequence[float]) -> Node | None:
    """Draw the region within the given distances of each lesion, clipped at the lungs.

    Margins that were drawn before are removed.

    Args:
        segmentation: The segmentation whose lesions get margins.
        distances_mm: The distances; an empty sequence draws nothing.

    Returns:
        The segmentation node of the margins; None if nothing is drawn.

    Raises:
        ValueError: The lungs or the CT are missing.
    """
    _remove(segmentation, MARGINS_ROLE)
    lesions = _lesions(segmentation)
    if not distances_mm or not lesions:
        return None
    left, right = _lungs(segmentation)
    labels, (whole_left, whole_right) = _together(lesions, left, right)
    node = _new_segmentation(segmentation, MARGINS_ROLE, f"{segmentation.GetName()} margins")
    names = {lesion.number: lesion.name for lesion in lesions}
    lungs = labels.with_array(whole_left.array | whole_right.array | (labels.array > 0))
    for margin in margins(labels, lungs, None, sorted(set(distances_mm)), names):
        color = margin_color(lesions[margin.number - 1].color, margin.distance_mm)
        _add(node, margin.name, margin.mask, color=color, code=MARGIN, opacity=MARGIN_OPACITY_3D)
    _draw(node)
    return node


@one_drawing()
def show_zones(segmentation: Node, visible: bool) -> Node | None:
    """Draw the upper, middle and lower zone of each lung in place of the lungs, or show the lungs again.

    Args:
        segmentation: The segmentation whose lungs are divided.
        visible: False removes the zones and shows the lungs.

    Returns:
        The segmentation node of the zones; None if nothing is drawn.

    Raises:
        ValueError: The lungs or the CT are missing.
    """
    _remove(segmentation, ZONES_ROLE)
    if not visible:
        show_lungs(segmentation, True)
        return None
    left, right = _lungs(segmentation)
    lesions = _lesions(segmentation)
    labels, (whole_left, whole_right) = _together(lesions, left, right)
    sides = Sides(whole_left, whole_right)
    crops = [crop_of(labels.with_array(labels.array == lesion.number)) for lesion in lesions]
    node = _new_segmentation(segmentation, ZONES_ROLE, f"{segmentation.GetName()} zones")
    by_number = {
        lesion.number: None if crop is None else sides.of(crop) for lesion, crop in zip(lesions, crops, strict=True)
    }
    for zone in lung_zones(whole_left, whole_right, labels, by_number):
        code = LEFT_LUNG if zone.side == "Left" else RIGHT_LUNG
        _add(node, zone.segment, zone.mask, color=ZONE_COLORS[zone.name], code=code, opacity=ZONE_OPACITY_3D)
    _draw(node)
    show_lungs(segmentation, False)
    return node


@one_drawing()
def show_rulers(segmentation: Node, visible: bool, chosen_ids: Sequence[str] = ()) -> list[Node]:
    """Draw the axes of each lesion and Dmax as line markups, or remove them.

    Each lesion has a long and a short axis. Dmax connects the two lesions that are farthest apart.

    Args:
        segmentation: The segmentation whose lesions are measured.
        visible: False removes the rulers.
        chosen_ids: The segments whose rulers have labels; see ``label_rulers``.

    Returns:
        The line markups, Dmax last.
    """
    _remove(segmentation, RULERS_ROLE)
    if not visible:
        return []
    lesions = _lesions(segmentation)
    lines = []
    for lesion in lesions:
        diameters = axial_diameters(lesion.mask)
        lines += [
            _axis(segmentation, f"{lesion.name} long axis", diameters.long_axis, lesion.id),
            _axis(segmentation, f"{lesion.name} short axis", diameters.short_axis, lesion.id),
        ]
    farthest = _farthest_apart(lesions)
    if farthest is not None:
        lines.append(_line(segmentation, "Dmax", farthest))
    label_rulers(segmentation, chosen_ids)
    return lines


@one_drawing()
def label_rulers(segmentation: Node, chosen_ids: Sequence[str]) -> None:
    """Label the axes of the chosen lesions, in slice views only; the label of Dmax stays, also in the 3D views.

    Args:
        segmentation: The segmentation whose rulers may be drawn.
        chosen_ids: Segment ids, as selected in the lesion table.
    """
    for line in _drawn(segmentation, RULERS_ROLE):
        segment_id = line.GetAttribute(SEGMENT_ATTRIBUTE)
        if segment_id is not None:
            line.GetDisplayNode().SetPropertiesLabelVisibility(segment_id in chosen_ids)


def _farthest_apart(lesions: Sequence[_Lesion]) -> Ruler | None:
    """Return the line between the centroids of the two lesions farthest apart; None for fewer than two."""
    if len(lesions) < 2:
        return None
    points = [centroid_lps(lesion.mask) for lesion in lesions]
    distance = cdist(points, points)
    first, second = np.unravel_index(int(distance.argmax()), distance.shape)
    return Ruler(points[first], points[second])


def _lesions(segmentation: Node) -> list[_Lesion]:
    """Return the lesions that were not rejected and have voxels, in the order of the segmentation."""
    content = segmentation.GetSegmentation()
    masks = [
        (info, mask_of(content, info.id))
        for info in segment_infos(content)
        if may_be_lesion(info) and info.review != REJECTED
    ]
    found = [(info, mask) for info, mask in masks if mask is not None]
    return [
        _Lesion(info.id, info.name, content.GetSegment(info.id).GetColor(), number, mask)
        for number, (info, mask) in enumerate(found, start=1)
    ]


def _lungs(segmentation: Node) -> tuple[Volume, Volume]:
    content = segmentation.GetSegmentation()
    pair = lung_pair(segment_infos(content))
    masks = [None, None] if pair is None else [mask_of(content, info.id) for info in pair]
    left, right = masks
    if left is None or right is None:
        raise ValueError("The segmentation has no left and right lung.")
    return left, right


def _together(lesions: Sequence[_Lesion], left: Volume, right: Volume) -> tuple[Volume, tuple[Volume, Volume]]:
    """Return labels of the lesions (uint16, by number) and both lungs (bool) on the smallest common grid."""
    whole = reduce(unite_masks, [left, right, *(lesion.mask for lesion in lesions)])
    labels = np.zeros(whole.shape, dtype=np.uint16)
    for lesion in lesions:
        labels[mask_on_grid(lesion.mask, whole)] = lesion.number
    return whole.with_array(labels), (
        whole.with_array(mask_on_grid(left, whole)),
        whole.with_array(mask_on_grid(right, whole)),
    )


def _new_segmentation(segmentation: Node, role: str, name: str) -> Node:
    volume = ct_of(segmentation)
    if volume is None:
        raise ValueError("The CT of this segmentation is not in the scene.")
    node = referenced(segmentation, role, "vtkMRMLSegmentationNode", name)
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.SetAndObserveTransformNodeID(segmentation.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    return node


def _add(node: Node, name: str, mask: Volume, *, color: tuple[float, float, float], code: str, opacity: float) -> None:
    if not mask.array.any():
        return
    content, display = node.GetSegmentation(), node.GetDisplayNode()
    segment_id = content.AddEmptySegment(content.GenerateUniqueSegmentID(name), name, color)
    content.GetSegment(segment_id).SetTerminology(code)
    crop = crop_of(mask)
    set_mask(node, segment_id, mask if crop is None else crop.mask)
    display.SetSegmentOpacity3D(segment_id, opacity)
    display.SetSegmentOpacity2DFill(segment_id, 0.0)


def _draw(node: Node) -> None:
    node.CreateClosedSurfaceRepresentation()
    node.GetDisplayNode().SetVisibility3D(True)


def _line(segmentation: Node, name: str, ruler: Ruler) -> Node:
    """Return a locked line between the ends of a ruler, under the parent transform of the segmentation.

    Its label is its name; Slicer appends the length.
    """
    line = segmentation.GetScene().AddNewNodeByClass("vtkMRMLMarkupsLineNode", name)
    line.SetAndObserveTransformNodeID(segmentation.GetTransformNodeID())
    for point in (ruler.start_lps, ruler.end_lps):
        line.AddControlPoint(ras_of(point))
    line.SetLocked(True)
    line.CreateDefaultDisplayNodes()
    _make_small(line.GetDisplayNode())
    segmentation.AddNodeReferenceID(RULERS_ROLE, line.GetID())
    return line


def _axis(segmentation: Node, name: str, ruler: Ruler, segment_id: str) -> Node:
    """Return a line whose label appears only in slice views.

    It has one display node for the slice views and another for the 3D views.
    """
    line = _line(segmentation, name, ruler)
    line.SetAttribute(SEGMENT_ATTRIBUTE, segment_id)
    line.GetDisplayNode().SetVisibility3D(False)
    in_3d = segmentation.GetScene().AddNewNodeByClass("vtkMRMLMarkupsDisplayNode")
    _make_small(in_3d)
    in_3d.SetVisibility2D(False)
    in_3d.SetPropertiesLabelVisibility(False)
    line.AddAndObserveDisplayNodeID(in_3d.GetID())
    return line


def _make_small(display: Node) -> None:
    display.SetPointLabelsVisibility(False)
    display.SetUseGlyphScale(True)
    display.SetGlyphScale(RULER_GLYPH_SCALE)
    display.SetTextScale(RULER_TEXT_SCALE)


def _drawn(segmentation: Node, role: str) -> list[Node]:
    """Return the nodes to which the segmentation refers in a role and that are still in the scene."""
    nodes = [segmentation.GetNthNodeReference(role, i) for i in range(segmentation.GetNumberOfNodeReferences(role))]
    return [node for node in nodes if node is not None]


def _remove(segmentation: Node, role: str) -> None:
    scene = segmentation.GetScene()
    nodes = _drawn(segmentation, role)
    segmentation.RemoveNodeReferenceIDs(role)
    for node in nodes:
        displays = [node.GetNthDisplayNode(i) for i in range(node.GetNumberOfDisplayNodes())]
        scene.RemoveNode(node)
        for display in displays:
            if display is not None and display.GetScene() is scene:
                scene.RemoveNode(display)
