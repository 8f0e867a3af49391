"""How the application's views show a result: 3D views framed, and the CT in a radiologist's windows."""

from typing import Any

import slicer
from LungTumorSegLib.mrml.nodes import Node

PREPARED_ATTRIBUTE = "LungTumorSeg.Prepared"
"""Marks a 3D view whose box and labels were hidden once: who shows them again keeps them."""

LUNG_WINDOW, MEDIASTINUM_WINDOW = (1500.0, -600.0), (400.0, 40.0)
"""Width and level, HU."""


def frameTumors() -> None:
    """Let what is shown fill the 3D views, without their box and labels."""
    layoutManager = slicer.app.layoutManager()
    if layoutManager is None:  # there is none without a main window
        return
    for viewNode in slicer.util.getNodesByClass("vtkMRMLViewNode"):
        if not viewNode.GetAttribute(PREPARED_ATTRIBUTE):
            viewNode.SetAttribute(PREPARED_ATTRIBUTE, "1")
            viewNode.SetBoxVisible(False)
            viewNode.SetAxisLabelsVisible(False)
    for index in range(layoutManager.threeDViewCount):
        layoutManager.threeDWidget(index).threeDView().resetCamera()  # after the box is hidden: it would be framed


def setWindow(volumeNode: Node, window: tuple[float, float]) -> None:
    """Show the CT with this width and level (HU), in all slice views."""
    if volumeNode.GetDisplayNode() is None:
        volumeNode.CreateDefaultDisplayNodes()
    display: Any = volumeNode.GetDisplayNode()
    modified = display.StartModify()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(*window)
    display.EndModify(modified)
