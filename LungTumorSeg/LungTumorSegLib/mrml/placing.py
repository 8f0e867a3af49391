"""Placement of a single point with a click in a view."""

from __future__ import annotations

from collections.abc import Callable

import slicer

from .nodes import Node

Point = tuple[float, float, float]


class PointPlacement:
    """Wait for one point to be placed in any view with Slicer's place mode; ``close`` ends the wait."""

    def __init__(self, scene: Node, on_point: Callable[[Point], None]) -> None:
        """Start Slicer's place mode.

        Args:
            scene: The scene in which the point is placed.
            on_point: Called once with the point, RAS of the scene in mm.
        """
        self._on_point = on_point
        self._node = scene.CreateNodeByClass("vtkMRMLMarkupsFiducialNode")
        self._node.UnRegister(None)
        self._node.SetName("Grow here")
        self._node.SaveWithSceneOff()
        self._node.HideFromEditorsOn()
        scene.AddNode(self._node)
        self._tag = self._node.AddObserver(slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, self._on_placed)
        self._interaction = scene.GetFirstNodeByClass("vtkMRMLInteractionNode")
        selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
        if selection is not None and self._interaction is not None:
            selection.SetReferenceActivePlaceNodeClassName(self._node.GetClassName())
            selection.SetActivePlaceNodeID(self._node.GetID())
            self._interaction.SwitchToSinglePlaceMode()

    def close(self) -> None:
        """Remove the point and leave place mode."""
        self._node.RemoveObserver(self._tag)
        if self._node.GetScene() is not None:
            self._node.GetScene().RemoveNode(self._node)
        if self._interaction is not None:
            self._interaction.SwitchToViewTransformMode()

    def _on_placed(self, caller: Node, event: str) -> None:
        x, y, z = self._node.GetNthControlPointPositionWorld(0)
        self._on_point((x, y, z))
