"""The part of the logic that outlines what lies at a place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import slicer
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.mrml.place_outlines import PlaceClick, PlaceOutline, WarmOutliner
from LungTumorSegLib.mrml.placing import PointRas
from LungTumorSegLib.options import SegmentOptions
from LungTumorSegLib.process.progress import RunProgress
from LungTumorSegLib.process.warm_child import Ask
from LungTumorSegLib.weights.manifest import Manifest, find_model

from .waiting import result_of, watch_run


class OutliningLogic:
    """Outline what lies at a point or in a box, with or without a window.

    One child process keeps the networks and the CT of the last click, so that the next click is answered quickly. It
    ends when it is not used for ten minutes, when the CT changes or is removed, and with Slicer.
    """

    _outliner: WarmOutliner | None = None

    def outline(
        self,
        volumeNode: Node,
        place: Sequence[PointRas],
        options: Mapping[str, Any] | None = None,
        *,
        also: Sequence[PointRas] = (),
        butNot: Sequence[PointRas] = (),
    ) -> PlaceOutline:
        """Outline what lies at a place of a CT; block until this is done. The scene is not changed.

        Args:
            volumeNode: The CT.
            place: One point, or the corners of a box, RAS of the scene in mm.
            options: The options of a run; ``min_confidence`` is the least probability of a tumor that is outlined.
            also: Points that belong to the same lesion: the outline is extended to them.
            butNot: Points that do not belong to it: what is nearer to them is cut off.

        Returns:
            The outline. ``LungTumorSegLogic.corrections(segmentationNode).take(outline.mask, tumor=outline.tumor)``
            makes it a lesion.

        Raises:
            ValueError: A point lies outside the CT, the model has no second network, or the input cannot be used.
            RuntimeError: The computer cannot complete the run.
        """
        outline: PlaceOutline = result_of(self._ask(volumeNode, place, options, also=also, butNot=butNot))
        return outline

    def startOutline(
        self,
        volumeNode: Node,
        place: Sequence[PointRas],
        options: Mapping[str, Any] | None = None,
        *,
        onProgress: Callable[[RunProgress], None] | None = None,
        onFinished: Callable[[Ask], None] | None = None,
        also: Sequence[PointRas] = (),
        butNot: Sequence[PointRas] = (),
    ) -> Ask:
        """Outline what lies at a place of a CT without blocking; needs Qt's event loop.

        Args:
            volumeNode: The CT.
            place: See ``outline``.
            options: See ``outline``.
            onProgress: Called with each progress report until the child process is ready.
            onFinished: Called with the request at its end; its ``result`` (a PlaceOutline) or ``error`` is then set.
            also: See ``outline``.
            butNot: See ``outline``.

        Returns:
            The request, which has a method ``cancel()``.

        Raises:
            ValueError: The input cannot be used.
        """
        return watch_run(
            self._ask(
                volumeNode, place, options, also=also, butNot=butNot, onProgress=onProgress, onFinished=onFinished
            )
        )

    def prepareOutlines(
        self,
        volumeNode: Node,
        options: Mapping[str, Any] | None = None,
        onFinished: Callable[[Ask], None] | None = None,
    ) -> None:
        """Start the child process for a CT without blocking, while the user still places a point.

        Args:
            volumeNode: The CT.
            options: See ``outline``.
            onFinished: Called when the process is ready, or has failed; ``error`` is then set.

        Raises:
            ValueError: The input cannot be used.
        """
        watch_run(self._outlinerOf(volumeNode, _chosen(options)).warm_up(onFinished))

    def closeOutlines(self) -> None:
        """End the child process; the next outline starts a new one."""
        if self._outliner is not None:
            self._outliner.close()
            self._outliner = None

    def _ask(
        self,
        volumeNode: Node,
        place: Sequence[PointRas],
        options: Mapping[str, Any] | None,
        *,
        also: Sequence[PointRas],
        butNot: Sequence[PointRas],
        onProgress: Callable[[RunProgress], None] | None = None,
        onFinished: Callable[[Ask], None] | None = None,
    ) -> Ask:
        chosen = _chosen(options)
        least = chosen.settled(Manifest.read(find_model(chosen.model))).min_confidence
        click = PlaceClick(tuple(place), least, tuple(also), tuple(butNot))
        return self._outlinerOf(volumeNode, chosen).ask(click, onProgress, onFinished)

    def _outlinerOf(self, volumeNode: Node, options: SegmentOptions) -> WarmOutliner:
        if self._outliner is None or not self._outliner.serves(volumeNode, options.model):
            self.closeOutlines()
            self._outliner = WarmOutliner(volumeNode, options.model, slicer.app.temporaryPath)
        return self._outliner


def _chosen(options: Mapping[str, Any] | None) -> SegmentOptions:
    """Return the options of a run without ``probability``, which only concerns the loading of a result."""
    return SegmentOptions.of({name: value for name, value in (options or {}).items() if name != "probability"})
