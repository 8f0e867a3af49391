"""Measurement after every edit: the observers, and the timers that start measurements and fetch their results."""

from collections.abc import Callable
from typing import Any

import slicer
from LungTumorSegLib.mrml.live_table import POLL_MILLISECONDS, LiveTable, edit_events
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.mrml.results import is_edited
from LungTumorSegLib.mrml.stored_lesions import is_measured
from slicer.util import VTKObservationMixin

from .timers import makeTimer

EDIT_MILLISECONDS = 100
"""Delay from the last edit to the start of the measurement, because one stroke sends several events."""


class LiveMeasuring(VTKObservationMixin):
    """Measure one segmentation at a time.

    ``onMeasures`` is called after the table was updated, with the problem that prevents a measurement or an empty text.
    ``onOtherContent`` is called when a run has replaced the content of the segmentation.
    """

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
        """Whether measurements are pending."""
        return self._live is not None and (self._editTimer.active or self._live.busy)

    def follow(self, segmentation: Node) -> None:
        """Measure this segmentation from now on, at once if it was saved with measurements pending."""
        self._segmentation = segmentation
        self._live = LiveTable(segmentation)
        content = segmentation.GetSegmentation()
        for event in edit_events():
            self.addObserver(content, event, self._onEdit)
        self.addObserver(segmentation, slicer.vtkMRMLSegmentationNode.SegmentationChangedEvent, self._onChanged)
        if not is_measured(segmentation):
            self.start()

    def close(self) -> None:
        """Stop measuring until the next ``follow``."""
        self._editTimer.stop()
        self._pollTimer.stop()
        self.removeObservers()
        if self._live is not None:
            self._live.close()
        self._segmentation = self._live = None

    def start(self) -> None:
        """Measure the segmentation in its current state."""
        if self._live is not None:
            self._live.update()
            self._pollTimer.start()

    def finish(self) -> None:
        """Wait until the table matches the voxels, for example before saving.

        Raises:
            ValueError: The segmentation cannot be measured.
        """
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
