"""Conversion between the options of a run and the fields of the parameter node."""

from collections.abc import Mapping
from typing import Any

import slicer
from LungTumorSegLib.mrml.upgrade import VERSION, upgrade
from LungTumorSegLib.options import OPTIONS, Option, Thresholds, usual_values
from LungTumorSegLib.weights.manifest import Manifest


def takeModel(parameterNode: Any, manifest: Manifest) -> None:
    """Select a model and set all parameters to its defaults."""
    usual = {**usual_values(manifest), "model": manifest.id}
    for option in OPTIONS:
        if option.name not in ("device", "backend"):  # depend on the computer, not on the model
            for field, value in zip(
                option.parameters, _parts(option, usual[option.name]), strict=bool(option.parameters)
            ):
                setattr(parameterNode, field, value)


def upgradeScene(parameterNode: Any, manifests: Mapping[str, Manifest]) -> None:
    """Bring results and parameters that an older version of the extension saved to the current version."""
    if parameterNode.version < VERSION:
        for segmentationNode in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            upgrade(segmentationNode)
        known = manifests.get(parameterNode.model)
        parameterNode.verify = known is not None and known.verify
        parameterNode.version = VERSION


def chosenOptions(parameterNode: Any) -> dict[str, Any]:
    """Return the options of a run from the parameter node."""
    chosen: dict[str, Any] = {"probability": parameterNode.loadProbability}
    for option in OPTIONS:
        values = [_plain(getattr(parameterNode, field)) for field in option.parameters]
        if values:
            chosen[option.name] = Thresholds(*values) if option.kind is Thresholds else values[0]
    return chosen


def _parts(option: Option, value: Any) -> tuple[Any, ...]:
    return (value.gate, value.voxel) if option.kind is Thresholds else (value,)


def _plain(value: Any) -> Any:
    """Return the value that the command line expects for an Enum of the panel."""
    return getattr(value, "value", value)
