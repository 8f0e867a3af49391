"""Turn a result in the scene into what earlier versions of the extension stored."""

from __future__ import annotations

from typing import Any

import slicer
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.nodes import TABLE_ROLE

ANSWER_ROLE = "LungTumorSeg.Answer"


def as_version_3(segmentation: Any, parameters: Any) -> None:
    """Remove the choice of the second look; see ``as_version_2`` for the arguments."""
    parameters.SetParameter("version", "3")
    parameters.UnsetParameter("verify")


def as_version_2(segmentation: Any, parameters: Any) -> None:
    """Remove the display node of the network's result.

    Args:
        segmentation: The segmentation node of the result.
        parameters: The parameter node of the scene (``vtkMRMLScriptedModuleNode``).
    """
    slicer.mrmlScene.RemoveNode(segmentation.GetNodeReference(ANSWER_ROLE).GetDisplayNode())
    parameters.SetParameter("version", "2")
    parameters.UnsetParameter("verify")


def as_version_1(segmentation: Any, parameters: Any) -> None:
    """Remove the network's result, review marks and later parameters; see ``as_version_2`` for the arguments."""
    slicer.mrmlScene.RemoveNode(segmentation.GetNodeReference(ANSWER_ROLE))
    table = segmentation.GetNodeReference(TABLE_ROLE)
    assert segmentation.GetAttribute("LungTumorSeg.Measures") is None
    for name in ("correction", "review", "network_volume_ml", "segment_id"):
        table.RemoveColumn(table.GetColumnIndex(name))
    segmentation.SetAttribute(mrml.FINGERPRINT_ATTRIBUTE, mrml.fingerprint(segmentation, colors=False))
    parameters.SetParameter("version", "1")
    parameters.UnsetParameter("paintInside")
    parameters.UnsetParameter("verify")
