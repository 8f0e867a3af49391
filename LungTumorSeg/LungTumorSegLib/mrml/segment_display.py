"""How the segments of a result are displayed: opacity, visibility, the lesion in the center of the views."""

from __future__ import annotations

import slicer

from ..core.selection import may_be_lesion
from ..core.terminology import REJECTED
from ..results.lesion_rows import LesionRow
from .nodes import Node, one_drawing, ras_of, surface_name
from .segments import segment_infos
from .stored_lesions import is_result

LUNG_OPACITY_3D = 0.25
TUMOR_FILL_2D, LUNG_FILL_2D, DIMMED_FILL_2D = 0.45, 0.0, 0.15


@one_drawing()
def jump_to(segmentation: Node, lesion: LesionRow) -> None:
    """Center all slice views on the lesion, with the parent transform of the segmentation applied."""
    world = [0.0, 0.0, 0.0]
    segmentation.TransformPointToWorld(ras_of(lesion.centroid_lps), world)
    slicer.vtkMRMLSliceNode.JumpAllSlices(segmentation.GetScene(), *world, slicer.vtkMRMLSliceNode.CenteredJumpSlice)


@one_drawing()
def highlight(segmentation: Node, segment_name: str | None) -> None:
    """Highlight one tumor in the slice views by dimming the others; None shows all alike."""
    display = segmentation.GetDisplayNode()
    for segment_id, name in _tumor_segments(segmentation):
        display.SetSegmentOpacity2DFill(segment_id, TUMOR_FILL_2D if segment_name in (None, name) else DIMMED_FILL_2D)


def show_lesions_by_review(scene: Node) -> None:
    """Show every lesion of every result in the scene, except for rejected lesions.

    When a scene with several segmentations is loaded, Slicer's list of segments hides segments. Call this function
    after an import, once Slicer's widgets have processed the new nodes.
    """
    with one_drawing():
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene):
            if is_result(node) and node.GetDisplayNode() is not None:
                for info in segment_infos(node.GetSegmentation()):
                    if may_be_lesion(info):
                        node.GetDisplayNode().SetSegmentVisibility(info.id, info.review != REJECTED)


@one_drawing()
def show_lungs(segmentation: Node, visible: bool) -> None:
    """Show or hide the lungs in all views; tumors are unchanged."""
    tumors = {segment_id for segment_id, _ in _tumor_segments(segmentation)}
    for segment_id in segmentation.GetSegmentation().GetSegmentIDs():
        if segment_id not in tumors:
            segmentation.GetDisplayNode().SetSegmentVisibility(segment_id, visible)


@one_drawing()
def show_surfaces(segmentation: Node, visible: bool) -> None:
    """Show or hide the surfaces in the 3D views; surfaces that did not come with the result are created."""
    if visible and not segmentation.GetSegmentation().ContainsRepresentation(surface_name()):
        segmentation.CreateClosedSurfaceRepresentation()
    segmentation.GetDisplayNode().SetVisibility3D(visible)


def show_segments(segmentation: Node) -> None:
    """Give the segments of a new result their opacities: filled tumors, and lungs that do not hide them."""
    segmentation.CreateDefaultDisplayNodes()
    display = segmentation.GetDisplayNode()
    tumors = {segment_id for segment_id, _ in _tumor_segments(segmentation)}
    for segment_id in segmentation.GetSegmentation().GetSegmentIDs():
        is_tumor = segment_id in tumors
        display.SetSegmentOpacity3D(segment_id, 1.0 if is_tumor else LUNG_OPACITY_3D)
        display.SetSegmentOpacity2DFill(segment_id, TUMOR_FILL_2D if is_tumor else LUNG_FILL_2D)


def _tumor_segments(segmentation: Node) -> list[tuple[str, str]]:
    """Return id and name of the segments that are lesions, including rejected ones."""
    infos = segment_infos(segmentation.GetSegmentation())
    return [(info.id, info.name) for info in infos if may_be_lesion(info)]
