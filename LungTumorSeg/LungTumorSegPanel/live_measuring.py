"""A lesion table that follows every edit: observers, and the timers that start measuring and ask for what is known."""

from collections.abc import Callable
from typing import Any

import slicer
from LungTumorSegLib.mrml.lesion_table import is_measured
from LungTumorSegLib.mrml.live_table import POLL_MILLISECONDS, LiveTable, edit_events
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.mrml.results import is_edited
from slicer.util import VTKObservationMixin

from .timers import makeTimer

EDIT_MILLISECONDS = 100
"""So long after the last edit measuring begins: a stroke sends several events, and the hand should not wait for any of them."""


class LiveMeasuring(VTKObservationMixin):
    """Measures one segmentation at a time. ``onMeasures`` is called with each new problem or an empty text, the table being up to date;
    ``onOtherContent`` when a run has put other voxels into the segmentation."""

    def __init__(self, onMeasures: Callable[[str], None], onOtherContent: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._onMeasures, self._onOtherContent = onMeasures, onOtherContent
        self._segmentation: Node = None
        self._live: LiveTable | None = None
        self._editTimer = makeTimer(EDIT_MILLISECONDS, self.start, singleShot=True)
        self._pollTimer = makeTimer(POLL_MILLISECONDS, self._poll)

    @property
    def following(self) -> bool:
        """Whether there is a segmentation to measure."""
        return self._live is not None

    @property
    def busy(self) -> bool:
        """Whether measures are still to come."""
        return self._live is not None and (self._editTimer.active or self._live.busy)

    def follow(self, segmentation: Node) -> None:
        """Measure this segmentation from now on, at once where it was saved half measured."""
        self._segmentation = segmentation
        self._live = LiveTable(segmentation)
        content = segmentation.GetSegmentation()
        for event in edit_events():
            self.addObserver(content, event, self._onEdit)
        self.addObserver(segmentation, slicer.vtkMRMLSegmentationNode.SegmentationChangedEvent, self._onChanged)
        if not is_measured(segmentation):
            self.start()

    def close(self) -> None:
        """Measure nothing any more, until the next ``follow``."""
        self._editTimer.stop()
        self._pollTimer.stop()
        self.removeObservers()
        if self._live is not None:
            self._live.close()
        self._segmentation = self._live = None

    def start(self) -> None:
        """Have the segmentation measured as it is now."""
        if self._live is not None:
            self._live.update()
            self._pollTimer.start()

    def finish(self) -> None:
        """Wait until the table says what the voxels say, as before saving. Raises ValueError where they cannot be measured."""
        if self._live is None or (self._live.current and not self._editTimer.active):
            return
        if is_measured(self._segmentation) and not is_edited(self._segmentation):
            return
        self._live.measure_now()
        self._onMeasures("")

    def _onChanged(self, caller: Any = None, event: Any = None) -> None:
        self._onOtherContent()

    def _onEdit(self, caller: Any = None, event: Any = None) -> None:
        self._editTimer.start()

    def _poll(self) -> None:
        measures = self._live.poll() if self._live is not None else None
        if measures is not None:
            self._onMeasures(measures.problem)
        if self._live is None or not self._live.busy:
            self._pollTimer.stop()
