"""Slicer's drawing of views: after each change of what they show, unless drawing is paused."""

from __future__ import annotations

from typing import Any

import vtk

SHOWN = ("vtkMRMLDisplayableNode", "vtkMRMLDisplayNode")
"""Classes of nodes whose changes cause the views to be drawn."""


class Drawing:
    """Count in ``count`` how often the views of one scene are drawn.

    They are drawn once per change, and once at the end of a pause with changes.
    """

    def __init__(self, scene: Any) -> None:
        self.count = 0
        self._pauses, self._is_waiting = 0, False
        scene.AddObserver(scene.NodeAddedEvent, self._on_added)
        scene.AddObserver(scene.NodeRemovedEvent, self._on_removed)

    def pause(self) -> None:
        """Begin a pause; pauses can be nested."""
        self._pauses += 1

    def resume(self) -> None:
        """End a pause."""
        assert self._pauses > 0, "nothing is paused"
        self._pauses -= 1
        if self._is_waiting and self._pauses == 0:
            self._is_waiting = False
            self.count += 1

    def _request(self, *_: Any) -> None:
        if self._pauses:
            self._is_waiting = True
        else:
            self.count += 1

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_added(self, scene: Any, event: str, node: Any) -> None:
        if any(node.IsA(kind) for kind in SHOWN):
            node.AddObserver("ModifiedEvent", self._request)
            self._request()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_removed(self, scene: Any, event: str, node: Any) -> None:
        if any(node.IsA(kind) for kind in SHOWN):
            self._request()
