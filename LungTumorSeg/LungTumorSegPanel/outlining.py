"""The part of the logic that outlines what lies at a place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import slicer
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.mrml.outlines import PlaceOutline, start_outline
from LungTumorSegLib.mrml.placing import Point
from LungTumorSegLib.process.progress import RunProgress
from LungTumorSegLib.process.segmentation_run import SegmentationRun

from .waiting import result_of, watched


class OutliningLogic:
    """Outline what lies at a point or in a box, with or without a window."""

    def outline(
        self, volumeNode: Node, place: Sequence[Point], options: Mapping[str, Any] | None = None
    ) -> PlaceOutline:
        """Outline what lies at a place of a CT; block until this is done. The scene is not changed.

        Args:
            volumeNode: The CT.
            place: One point, or the corners of a box, RAS of the scene in mm.
            options: The options of a run; ``min_confidence`` is the least probability of a tumor that is outlined.

        Returns:
            The outline. ``LungTumorSegLogic.corrections(segmentationNode).take(outline.mask)`` makes it a lesion.

        Raises:
            ValueError: The place lies outside the CT, the model has no second network, or the input cannot be used.
            RuntimeError: The computer cannot complete the run.
        """
        return result_of(start_outline(volumeNode, place, options or {}, slicer.app.temporaryPath))

    def startOutline(
        self,
        volumeNode: Node,
        place: Sequence[Point],
        options: Mapping[str, Any] | None = None,
        onProgress: Callable[[RunProgress], None] | None = None,
        onFinished: Callable[[SegmentationRun], None] | None = None,
    ) -> SegmentationRun:
        """Outline what lies at a place of a CT without blocking; needs Qt's event loop.

        Args:
            volumeNode: The CT.
            place: See ``outline``.
            options: See ``outline``.
            onProgress: Called with each progress report.
            onFinished: Called with the run at its end; its ``result`` (a PlaceOutline) or ``error`` is then set.

        Returns:
            The run.

        Raises:
            ValueError: The input cannot be used.
        """
        folder = slicer.app.temporaryPath
        return watched(start_outline(volumeNode, place, options or {}, folder, onProgress, onFinished))
