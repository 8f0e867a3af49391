"""Between the options of a run and the fields of the scene's parameter node that hold them."""

from typing import Any

from LungTumorSegLib.options import OPTIONS, Option, Thresholds, usual_values
from LungTumorSegLib.weights.manifest import Manifest


def takeModel(parameterNode: Any, manifest: Manifest) -> None:
    """Choose a model with its own numbers; who wants others changes them afterwards."""
    usual = {**usual_values(manifest), "model": manifest.id}
    for option in OPTIONS:
        if option.name != "device":  # the computer's, not the model's
            for field, value in zip(
                option.parameters, _parts(option, usual[option.name]), strict=bool(option.parameters)
            ):
                setattr(parameterNode, field, value)


def chosenOptions(parameterNode: Any) -> dict[str, Any]:
    """Return the options of a run as the parameter node has them."""
    chosen: dict[str, Any] = {"probability": parameterNode.loadProbability}
    for option in OPTIONS:
        values = [_plain(getattr(parameterNode, field)) for field in option.parameters]
        if values:
            chosen[option.name] = Thresholds(*values) if option.kind is Thresholds else values[0]
    return chosen


def _parts(option: Option, value: Any) -> tuple[Any, ...]:
    return (value.gate, value.voxel) if option.kind is Thresholds else (value,)


def _plain(value: Any) -> Any:
    """A choice of the panel (an Enum) is the command line's word."""
    return getattr(value, "value", value)
