"""Outlining what lies at a place: the child process that answers, its outline, and the preview of the outline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from ..core.colors import Color
from ..core.mask_json import mask_from_json
from ..core.volume import Volume
from ..io.nrrd import write_nrrd
from ..process.progress import RunProgress
from ..process.warm_child import Ask, WarmChild
from .nodes import Node, one_drawing, ras_of
from .placing import PointRas
from .segments import set_mask
from .volume_nodes import volume_of_node

ONE_THREAD = ("--threads", "1")
"""Arguments of the child. Several threads wait for each other where other programs, such as Slicer's views, use the
cores: with two threads on two busy cores, a click took ten times as long as with one."""

PREVIEW_COLOR: Color = (0.1, 1.0, 0.3)
"""A bright green; the first lesions of a result have other colors."""

PREVIEW_FILL_2D = 0.25

PREVIEW = "Preview"
"""Name and id of the segment of a preview."""


@dataclass(frozen=True)
class PlaceClick:
    """What a user points at; all points are RAS of the scene in mm.

    Attributes:
        place: One point, or the corners of a box.
        least: The least probability of a tumor that is outlined, 0 to 1.
        also: Points that belong to the same lesion.
        but_not: Points that do not belong to it.
    """

    place: tuple[PointRas, ...]
    least: float
    also: tuple[PointRas, ...] = ()
    but_not: tuple[PointRas, ...] = ()


@dataclass(frozen=True, eq=False)
class PlaceOutline:
    """What the second network found at a place.

    Attributes:
        mask: The outline (bool), LPS with canonical axes; None if nothing is outlined.
        tumor: Probability that what lies there is a tumor, 0 to 1.
        message: If nothing is outlined, why not; otherwise what the user must know about the outline, often "".
    """

    mask: Volume | None
    tumor: float
    message: str = ""

    @property
    def volume_ml(self) -> float:
        """Return the volume of the outline, mL."""
        return 0.0 if self.mask is None else self.mask.mask_ml


class WarmOutliner:
    """The child process that answers clicks on one volume node, until the voxels change or the node is removed."""

    def __init__(self, volume_node: Node, model: str, temporary_folder: str) -> None:
        """Start the child.

        Args:
            volume_node: A CT; its current voxels are exported without the parent transform.
            model: The id of the model.
            temporary_folder: The folder in which the child gets its private folder.

        Raises:
            UnusableInput: The node is not a CT.
        """
        volume = volume_of_node(volume_node)  # a view that keeps the voxels alive

        def export(path: Path, stop: threading.Event) -> None:
            write_nrrd(volume, path, stop)

        self._node, self._model, self._voxels = volume_node, model, _voxels_of(volume_node)
        self._child = WarmChild(export, ["--model", model, *ONE_THREAD], temporary_folder=temporary_folder)
        node_events = (slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, vtk.vtkCommand.ModifiedEvent)
        observed = [(volume_node, event) for event in node_events]
        observed.append((volume_node.GetScene(), slicer.vtkMRMLScene.NodeRemovedEvent))
        self._tags = [(each, each.AddObserver(event, self._on_change)) for each, event in observed]

    def serves(self, volume_node: Node, model: str) -> bool:
        """Return whether the child still runs, for this CT as it is now and for this model."""
        self._child.poll()
        same = self._node is volume_node and self._model == model
        return same and self._child.outcome is None and self._is_unchanged()

    def warm_up(self, on_finished: Callable[[Ask], None] | None = None) -> Ask:
        """Return the wait until the child is ready. The caller has to poll.

        Args:
            on_finished: Called when the child is ready or has failed.
        """
        return Ask(self._child, on_finished=on_finished)

    def ask(
        self,
        click: PlaceClick,
        on_progress: Callable[[RunProgress], None] | None = None,
        on_finished: Callable[[Ask], None] | None = None,
    ) -> Ask:
        """Outline what lies at a place; the result is a ``PlaceOutline``. The caller has to poll.

        Args:
            click: The place.
            on_progress: Called with the progress until the child is ready.
            on_finished: Called with the request at its end.
        """
        return Ask(self._child, request_of(self._node, click), outline_of, on_progress, on_finished)

    def close(self) -> None:
        """End the child."""
        for each, tag in self._tags:
            each.RemoveObserver(tag)
        self._tags = []
        self._child.close()

    def _is_unchanged(self) -> bool:
        return self._node.GetScene() is not None and _voxels_of(self._node) == self._voxels

    def _on_change(self, caller: Node, event: str) -> None:
        if not self._is_unchanged():
            self.close()


def _voxels_of(volume_node: Node) -> tuple[Any, ...]:
    """Return what changes whenever the voxels of a volume or their places change."""
    image, matrix = volume_node.GetImageData(), vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    places = tuple(matrix.GetElement(row, column) for row in range(3) for column in range(4))
    return (*places, None if image is None else image.GetMTime())


def request_of(volume_node: Node, click: PlaceClick) -> dict[str, Any]:
    """Return a click as a request to the command ``answer``: LPS mm of the volume, without its parent transform.

    A box is enclosed by one along the axes of the patient.
    """

    def local(points: Sequence[PointRas]) -> list[list[float]]:
        return [[round(float(c), 3) for c in ras_of(_local(volume_node, point))] for point in points]

    corners = np.array(local(click.place))
    place = corners[0] if len(corners) == 1 else np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return {
        "place": place.tolist(),
        "also": local(click.also),
        "but_not": local(click.but_not),
        "min_confidence": click.least,
    }


def outline_of(reply: Mapping[str, Any]) -> PlaceOutline:
    """Return the outline in a reply of the command ``answer``."""
    mask, tumor, warnings = reply["mask"], float(reply["tumor"]), list(reply["warnings"])
    return PlaceOutline(None if mask is None else mask_from_json(mask), tumor, " ".join(warnings))


class Preview:
    """Show an outline in the views, apart from the segmentation, until ``close``.

    The scene does not store it, and no node selector offers it.
    """

    @one_drawing()
    def __init__(self, volume_node: Node, mask: Volume) -> None:
        """Add the outline to the scene of its CT.

        Args:
            volume_node: The CT.
            mask: The outline (bool), LPS.
        """
        scene = volume_node.GetScene()
        self._node = scene.CreateNodeByClass("vtkMRMLSegmentationNode")
        self._node.UnRegister(None)
        self._node.SetName(PREVIEW)
        self._node.SaveWithSceneOff()
        self._node.HideFromEditorsOn()
        self._node.SetAttribute("SubjectHierarchy.ExcludeFromTree", "1")
        scene.AddNode(self._node)
        self._node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
        self._node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
        content = self._node.GetSegmentation()
        content.GetSegment(content.AddEmptySegment(PREVIEW, PREVIEW)).SetColor(*PREVIEW_COLOR)
        set_mask(self._node, PREVIEW, mask)
        self._node.CreateDefaultDisplayNodes()
        self._node.GetDisplayNode().SaveWithSceneOff()
        self._node.GetDisplayNode().SetSegmentOpacity2DFill(PREVIEW, PREVIEW_FILL_2D)

    def close(self) -> None:
        """Remove the outline from the views."""
        if self._node.GetScene() is not None:
            self._node.GetScene().RemoveNode(self._node)


def _local(node: Node, point: PointRas) -> PointRas:
    """Return a point of the scene in the coordinates of a node, without its parent transform; both RAS mm."""
    x = [0.0, 0.0, 0.0]
    node.TransformPointFromWorld(list(point), x)
    return x[0], x[1], x[2]
