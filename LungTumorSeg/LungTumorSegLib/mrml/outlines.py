"""Outlining what lies at a place: the run of the second network, its outline, and the preview of the outline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from ..core.boxes import union
from ..core.colors import Color
from ..core.selection import may_be_lesion
from ..core.volume import Volume
from ..process.progress import RunProgress
from ..process.segmentation_run import SegmentationRun
from ..results.reader import RunFiles
from .nodes import Node, one_drawing, ras_of
from .placing import Point
from .results import read_segmentation, volume_of_node
from .runs import run_on
from .segments import mask_of, segment_infos, set_mask

PREVIEW_COLOR: Color = (0.1, 1.0, 0.3)
"""A bright green; the first lesions of a result have other colors."""

PREVIEW_FILL_2D = 0.25

PREVIEW = "Preview"
"""Name and id of the segment of a preview."""


@dataclass(frozen=True, eq=False)
class PlaceOutline:
    """What the second network found at a place.

    Attributes:
        mask: The outline (bool), LPS with canonical axes; None if nothing is outlined.
        tumor: Probability that it is a tumor, 0 to 1; None if nothing is outlined or the run does not state it.
        message: If nothing is outlined, why not, in one sentence.
    """

    mask: Volume | None
    tumor: float | None
    message: str

    @property
    def volume_ml(self) -> float:
        """Return the volume of the outline, mL."""
        return 0.0 if self.mask is None else float(np.count_nonzero(self.mask.array) * self.mask.voxel_volume_ml)


def start_outline(
    volume_node: Node,
    place: Sequence[Point],
    options: Mapping[str, Any],
    temporary_folder: str,
    on_progress: Callable[[RunProgress], None] | None = None,
    on_finished: Callable[[SegmentationRun], None] | None = None,
) -> SegmentationRun:
    """Start outlining what lies at a place of ``volume_node``; the result is a ``PlaceOutline``.

    The run adds nothing to the scene. The caller has to poll it.

    Args:
        volume_node: A CT.
        place: One point, or the corners of a box, RAS of the scene in mm.
        options: The options of ``segment``.
        temporary_folder: The folder in which the run creates its private folder.
        on_progress: Called with each progress report.
        on_finished: Called with the run once it has ended.

    Returns:
        The run.

    Raises:
        UnusableInput: The node is not a CT, or an option is unknown.
    """
    volume_of_node(volume_node)  # says what is wrong if it is not a CT
    return run_on(
        volume_node,
        {**options, "probability": False},
        temporary_folder,
        outline_of,
        arguments=place_arguments(volume_node, place),
        on_progress=on_progress,
        on_finished=on_finished,
    )


def place_arguments(volume_node: Node, place: Sequence[Point]) -> list[str]:
    """Return a place as arguments of ``segment``: LPS mm of the volume, without its parent transform.

    Args:
        volume_node: The CT.
        place: One point, or the corners of a box, RAS of the scene in mm. The box is enclosed by one along the axes of
            the patient.
    """
    corners = np.array([ras_of(_local(volume_node, point)) for point in place])
    if len(corners) == 1:
        return ["--point", *(f"{c:.3f}" for c in corners[0])]
    return ["--box", *(f"{c:.3f}" for c in (*corners.min(axis=0), *corners.max(axis=0)))]


def outline_of(files: RunFiles) -> PlaceOutline:
    """Read the outline of a place from the files of a run.

    Raises:
        MachineLimit: The segmentation cannot be read.
    """
    content = read_segmentation(files.segmentation)
    masks = [mask_of(content, info.id) for info in segment_infos(content) if may_be_lesion(info)]
    found = [mask for mask in masks if mask is not None]
    if not found:
        warnings = files.summary.get("warnings", [])
        return PlaceOutline(None, None, warnings[-1] if warnings else "")  # the warning about the place is the last one
    stated = [c for lesion in files.summary["lesions"] if (c := lesion.get("confidence")) is not None]
    return PlaceOutline(reduce(union, found), max(stated, default=None), "")


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


def _local(node: Node, point: Point) -> Point:
    """Return a point of the scene in the coordinates of a node, without its parent transform; both RAS mm."""
    x = [0.0, 0.0, 0.0]
    node.TransformPointFromWorld(list(point), x)
    return x[0], x[1], x[2]
