"""Shared helpers for MRML nodes: references between nodes, conversion between LPS and RAS, and pausing of the views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import slicer
import slicer.util

from ..core.volume import Array, as_point

Node = Any
"""A MRML node; Slicer's classes have no type hints."""

TABLE_ROLE = "LungTumorSeg.LesionTable"
PROBABILITY_ROLE = "LungTumorSeg.Probability"
"""Node references from a segmentation to its table and its probability map; they are saved with the scene."""

ORIGINAL_ROLE = "LungTumorSeg.Answer"
"""Refers to a hidden segmentation with the network's result, the baseline for corrections and resets.

The text stays as it is, because stored scenes contain it.
"""

MARGINS_ROLE, ZONES_ROLE, RULERS_ROLE = "LungTumorSeg.Margins", "LungTumorSeg.Zones", "LungTumorSeg.Rulers"
"""Refer to the nodes that display the spread; see spread.py."""

OUTLINES_ROLE = "LungTumorSeg.EarlierLesions"
EARLIER_ROLE = "LungTumorSeg.EarlierResult"
"""Refer from the later segmentation to the outlines of the earlier lesions, and to the earlier segmentation with which
it was compared; see followup.py."""

EARLIER_FOLDER_ATTRIBUTE = "LungTumorSeg.EarlierFolder"
"""Node attribute of a segmentation: the result folder that it was compared with."""

FOLLOW_UP_ATTRIBUTE = "LungTumorSeg.FollowUp"
"""JSON of followup.json, as an attribute of the later segmentation."""

SUMMARY_ATTRIBUTE = "LungTumorSeg.Summary"
MEASURES_ATTRIBUTE = "LungTumorSeg.Measures"
"""JSON with the measurements of the corrected segmentation.

``rows`` and ``spread`` have the form of summary.json, ``removed`` lists the segment ids of the network's lesions that
were removed, and ``complete`` is false while measurements are pending."""

COLOR_BY_ATTRIBUTE = "LungTumorSeg.ColorBy"
"""What determines the lesion colors: "volume" or "confidence"; absent if each lesion has its own color."""

SEGMENT_ATTRIBUTE = "LungTumorSeg.Segment"
"""Attribute of a ruler: the id of the segment that it measures."""

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Also converts RAS to LPS. Only the functions below use it."""


def ras_of(point_lps: Sequence[float]) -> tuple[float, float, float]:
    """Convert a point from LPS to RAS, the coordinates of Slicer's scene.

    The same function converts RAS to LPS.

    Args:
        point_lps: x, y, z in mm.

    Returns:
        x, y, z in mm.
    """
    return as_point(_LPS_TO_RAS[:3, :3] @ point_lps)


def turn_vectors(vectors: Array) -> None:
    """Convert vectors (n x 3) from LPS to RAS, or back, in place.

    The conversion is a rotation by 180 degrees, so the faces of surfaces keep their orientation.
    """
    vectors[:, :2] *= -1


def affine_of(to_ras: Node) -> Array:
    """Convert Slicer's matrix of an image to the affine of a ``Volume``.

    Args:
        to_ras: vtkMatrix4x4 from column, row, slice to RAS in mm.

    Returns:
        4 x 4 matrix from slice, row, column to LPS in mm.
    """
    return np.asarray(_LPS_TO_RAS @ slicer.util.arrayFromVTKMatrix(to_ras)[:, [2, 1, 0, 3]])


def matrix_of(affine: Array) -> Node:
    """Return the vtkMatrix4x4 of an affine, the inverse of ``affine_of``."""
    return slicer.util.vtkMatrixFromArray(_LPS_TO_RAS @ affine[:, [2, 1, 0, 3]])


@contextmanager
def one_drawing() -> Iterator[None]:
    """Make Slicer render its views once after several node changes instead of after each one. Also a decorator.

    Without an application, for example in a script on slicer-core, there are no views.
    """
    if not hasattr(slicer, "app"):
        yield
        return
    with slicer.util.RenderBlocker():
        yield


def referenced(segmentation: Node, role: str, class_name: str, name: str) -> Node:
    """Return the node that the segmentation refers to in this role; create it if it is missing."""
    node = segmentation.GetNodeReference(role)
    if node is None:
        scene = segmentation.GetScene()
        node = scene.AddNewNodeByClass(class_name, free_name(scene, name))
        segmentation.SetNodeReferenceID(role, node.GetID())
    return node


def free_name(scene: Node, name: str) -> str:
    """Return ``name``, or a unique variant of it if a node in the scene already has this name.

    Slicer's own unique names also count deleted nodes.
    """
    return name if scene.GetFirstNodeByName(name) is None else str(scene.GenerateUniqueName(name))


def place_beside(node: Node, volume: Node) -> None:
    """Put a node under the volume's parent transform and into its study in the subject hierarchy.

    Slicer's DICOM export looks for the CT in that study.
    """
    if node.IsA("vtkMRMLTransformableNode"):
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volume.GetScene())
    volume_item = hierarchy.GetItemByDataNode(volume)
    if volume_item != hierarchy.GetInvalidItemID():
        hierarchy.CreateItem(hierarchy.GetItemParent(volume_item), node)  # moves an existing item


def surface_name() -> str:
    """Return the name under which a segment keeps its closed surface."""
    return str(slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName())
