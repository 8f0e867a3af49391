"""What all that speaks to Slicer's scene shares: how nodes refer to each other, how LPS turns into RAS, how often views are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import slicer
import slicer.util

from ..core.volume import Array

Node = Any
"""A MRML node; slicer's classes have no type hints."""

TABLE_ROLE = "LungTumorSeg.LesionTable"
PROBABILITY_ROLE = "LungTumorSeg.Probability"
"""Node references by which a segmentation finds what belongs to it, also after the scene was saved and loaded."""

ANSWER_ROLE = "LungTumorSeg.Answer"
"""Refers to a hidden segmentation: the network's answer, to which corrections are compared and reset."""

MARGINS_ROLE, ZONES_ROLE, RULERS_ROLE = "LungTumorSeg.Margins", "LungTumorSeg.Zones", "LungTumorSeg.Rulers"
"""Refer to what is drawn of the spread; see spread.py."""

SUMMARY_ATTRIBUTE = "LungTumorSeg.Summary"
MEASURES_ATTRIBUTE = "LungTumorSeg.Measures"
"""JSON of the corrected segmentation: ``rows`` and ``spread`` as in summary.json, ``removed``: the network's lesions that are none now,
``complete``: false while more is being measured."""

COLOR_BY_ATTRIBUTE = "LungTumorSeg.ColorBy"
"""By what the lesions are colored in the views: "volume" or "confidence"; absent where each has its own color."""

SEGMENT_ATTRIBUTE = "LungTumorSeg.Segment"
"""Of a ruler: the id of the segment that it measures."""

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Also the way back. Nothing but the functions below uses it."""


def ras_of(point_lps: Sequence[float]) -> tuple[float, float, float]:
    """Return a point (x, y, z in mm) in the coordinates of Slicer's scene; the same function leads from RAS back to LPS."""
    x, y, z = (_LPS_TO_RAS[:3, :3] @ point_lps).tolist()
    return x, y, z


def turn_vectors(vectors: Array) -> None:
    """Turn vectors (n x 3) from LPS to RAS or back, in place. It is half a turn, so faces of surfaces keep their orientation."""
    vectors[:, :2] *= -1


def affine_of(to_ras: Node) -> Array:
    """Turn Slicer's matrix of an image into ours.

    Args:
        to_ras: vtkMatrix4x4 from column, row, slice to RAS in mm.

    Returns:
        4 x 4 matrix from slice, row, column to LPS in mm.
    """
    return np.asarray(_LPS_TO_RAS @ slicer.util.arrayFromVTKMatrix(to_ras)[:, [2, 1, 0, 3]])


def matrix_of(affine: Array) -> Node:
    """Return the vtkMatrix4x4 of an affine: the way back of ``affine_of``."""
    return slicer.util.vtkMatrixFromArray(_LPS_TO_RAS @ affine[:, [2, 1, 0, 3]])


@contextmanager
def one_drawing() -> Iterator[None]:
    """Let Slicer draw its views once after several changes of nodes instead of after each. Also a decorator.

    Without an application, as in a script on slicer-core, there are no views.
    """
    if not hasattr(slicer, "app"):
        yield
        return
    with slicer.util.RenderBlocker():
        yield


def referenced(segmentation: Node, role: str, class_name: str, name: str) -> Node:
    """The node that the segmentation refers to in this role, made where there is none."""
    node = segmentation.GetNodeReference(role)
    if node is None:
        scene = segmentation.GetScene()
        node = scene.AddNewNodeByClass(class_name, free_name(scene, name))
        segmentation.SetNodeReferenceID(role, node.GetID())
    return node


def free_name(scene: Node, name: str) -> str:
    """Return the name itself, unless a node in the scene bears it. Slicer's own unique names count nodes that are gone, too."""
    return name if scene.GetFirstNodeByName(name) is None else str(scene.GenerateUniqueName(name))
