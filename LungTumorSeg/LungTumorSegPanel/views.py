"""Display of a result in Slicer's views: framing of the 3D views, and window settings for the CT."""

from typing import Any

import slicer
from LungTumorSegLib.mrml.nodes import Node

PREPARED_ATTRIBUTE = "LungTumorSeg.Prepared"
"""Marks a 3D view whose box and labels were hidden once; if the user shows them again, they stay."""

LUNG_WINDOW, MEDIASTINUM_WINDOW = (1500.0, -600.0), (400.0, 40.0)
"""Width and level in HU."""


def frameTumors() -> None:
    """Fit the 3D views to the visible objects, and hide their box and labels."""
    layoutManager = slicer.app.layoutManager()
    if layoutManager is None:  # without a main window
        return
    for viewNode in slicer.util.getNodesByClass("vtkMRMLViewNode"):
        if not viewNode.GetAttribute(PREPARED_ATTRIBUTE):
            viewNode.SetAttribute(PREPARED_ATTRIBUTE, "1")
            viewNode.SetBoxVisible(False)
            viewNode.SetAxisLabelsVisible(False)
    for index in range(layoutManager.threeDViewCount):
        layoutManager.threeDWidget(index).threeDView().resetCamera()  # after hiding the box, which would be included


def setWindow(volumeNode: Node, window: tuple[float, float]) -> None:
    """Display the CT with this window (width and level, HU) in all slice views."""
    if volumeNode.GetDisplayNode() is None:
        volumeNode.CreateDefaultDisplayNodes()
    display: Any = volumeNode.GetDisplayNode()
    modified = display.StartModify()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(*window)
    display.EndModify(modified)
