"""Placement of a point or a box with clicks in a view."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import slicer
import vtk

from .nodes import Node

PointRas = tuple[float, float, float]
"""A point (x, y, z) in RAS of the scene, mm; the engine's points are LPS."""


class Placement:
    """Wait for a markups node to be placed in any view with Slicer's place mode; ``close`` ends the wait."""

    def __init__(self, scene: Node, class_name: str, name: str) -> None:
        """Start Slicer's place mode.

        Args:
            scene: The scene in which the markups node is placed.
            class_name: Class of the markups node.
            name: Name of the markups node, which its label in the views shows.
        """
        self._node = scene.CreateNodeByClass(class_name)
        self._node.UnRegister(None)
        self._node.SetName(name)
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
        """Remove the markups node and leave place mode."""
        self._node.RemoveObserver(self._tag)
        if self._node.GetScene() is not None:
            self._node.GetScene().RemoveNode(self._node)
        if self._interaction is not None:
            self._interaction.SwitchToViewTransformMode()

    def _on_placed(self, caller: Node, event: str) -> None:
        raise NotImplementedError


class PointPlacement(Placement):
    """Wait for a point."""

    def __init__(self, scene: Node, on_point: Callable[[PointRas], None], name: str) -> None:
        """Start Slicer's place mode.

        Args:
            scene: The scene in which the point is placed.
            on_point: Called once with the point, RAS of the scene in mm.
            name: Name of the point in the views.
        """
        self._on_point = on_point
        super().__init__(scene, "vtkMRMLMarkupsFiducialNode", name)

    def _on_placed(self, caller: Node, event: str) -> None:
        x, y, z = self._node.GetNthControlPointPositionWorld(0)
        self._on_point((x, y, z))


class BoxPlacement(Placement):
    """Wait for a box: the user clicks two opposite corners of a region of interest."""

    def __init__(self, scene: Node, on_box: Callable[[list[PointRas]], None], name: str) -> None:
        """Start Slicer's place mode.

        Args:
            scene: The scene in which the box is placed.
            on_box: Called once with the eight corners of the box, RAS of the scene in mm. If both clicks lie in one
                slice, Slicer gives the box a depth.
            name: Name of the box in the views.
        """
        self._on_box = on_box
        super().__init__(scene, "vtkMRMLMarkupsROINode", name)

    def _on_placed(self, caller: Node, event: str) -> None:
        if self._node.GetControlPointPlacementComplete():  # not after the first corner
            self._on_box(self._corners())

    def _corners(self) -> list[PointRas]:
        to_world = vtk.vtkTransform()
        to_world.SetMatrix(self._node.GetObjectToWorldMatrix())
        halves = [side / 2 for side in self._node.GetSize()]
        return [
            to_world.TransformPoint([sign * half for sign, half in zip(signs, halves, strict=True)])
            for signs in itertools.product((-1, 1), repeat=3)
        ]
