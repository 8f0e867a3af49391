"""What all that speaks to Slicer's scene shares: how nodes refer to each other, and where LPS turns into RAS."""

from __future__ import annotations

from typing import Any

import numpy as np

Node = Any
"""A MRML node; slicer's classes have no type hints."""

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

TABLE_ROLE = "LungTumorSeg.LesionTable"
PROBABILITY_ROLE = "LungTumorSeg.Probability"
"""Node references by which a segmentation finds what belongs to it, also after the scene was saved and loaded."""

ANSWER_ROLE = "LungTumorSeg.Answer"
"""Refers to a hidden segmentation: the network's answer, to which corrections are compared and reset."""

MARGINS_ROLE, ZONES_ROLE, RULERS_ROLE = "LungTumorSeg.Margins", "LungTumorSeg.Zones", "LungTumorSeg.Rulers"
"""Refer to what is drawn of the spread; see spread_mrml.py."""

SUMMARY_ATTRIBUTE = "LungTumorSeg.Summary"
MEASURES_ATTRIBUTE = "LungTumorSeg.Measures"
"""JSON of the corrected segmentation: ``rows`` and ``spread`` as in summary.json, ``removed``: the network's lesions that are none now,
``complete``: false while more is being measured."""


def referenced(segmentation: Node, role: str, class_name: str, name: str) -> Node:
    """The node that the segmentation refers to in this role, made where there is none."""
    node = segmentation.GetNodeReference(role)
    if node is None:
        scene = segmentation.GetScene()
        node = scene.AddNewNodeByClass(class_name, scene.GenerateUniqueName(name))
        segmentation.SetNodeReferenceID(role, node.GetID())
    return node
