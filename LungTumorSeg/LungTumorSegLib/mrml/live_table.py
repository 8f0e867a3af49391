"""A lesion table that follows every edit of the segmentation."""

from __future__ import annotations

import time
from typing import Any

import slicer
from vtk import vtkCommand

from ..core import terminology
from ..correction.remeasuring import Remeasuring
from ..correction.snapshot import Layer, Measures, Snapshot
from .nodes import Node, one_drawing
from .results import ct_of
from .segments import LayerCopies, segment_infos, segments_of, unchanging_layers
from .stored_lesions import network_rows, numbers_of, original_of, store_measures
from .volume_nodes import volume_of_node

TURN_SECONDS = 0.03
"""How long ``poll`` yields the Python interpreter to the measuring thread while measurements are pending.

Python threads cannot run while Slicer's event loop is idle. The time is long enough for the thread to advance and too
short for a person to notice."""

POLL_MILLISECONDS = 10
"""Interval at which the panel calls ``poll``."""

NO_CT = "The CT of this segmentation is not in the scene, so its lesions cannot be measured again."


def edit_events() -> tuple[Any, ...]:
    """Return the events of a vtkSegmentation that signal an edit.

    They cover changed voxels, added and removed segments, new names, review marks and undone steps.
    """
    content = slicer.vtkSegmentation
    return (
        content.SourceRepresentationModified,
        content.SegmentModified,
        content.SegmentAdded,
        content.SegmentRemoved,
        vtkCommand.ModifiedEvent,
    )


class LiveTable:
    """Keep the lesion table of one segmentation up to date during corrections.

    ``update`` copies the layers that an edit changed and starts the measurement; ``poll`` writes the results of the
    measuring thread into the scene. Only ``measure_now`` waits for a measurement.
    """

    def __init__(self, segmentation: Node) -> None:
        self._node = segmentation
        self._copies = LayerCopies()
        self._original: tuple[Node, list[Layer]] | None = None
        self._measuring: tuple[Node, Remeasuring] | None = None
        self._problem = ""

    @property
    def busy(self) -> bool:
        """Whether measurements are pending."""
        return self._measuring is not None and self._measuring[1].busy

    @property
    def current(self) -> bool:
        """Whether everything that was passed to ``update`` has been measured."""
        return self._measuring is not None and not self._measuring[1].busy

    def update(self) -> None:
        """Start measuring the segmentation in its current state."""
        volume = self._volume()
        self._problem = "" if volume is not None else NO_CT
        if volume is None:
            self.close()
            return
        if self._measuring is None or self._measuring[0] is not volume:
            self.close()
            self._measuring = volume, Remeasuring(volume_of_node(volume))
        self._measuring[1].submit(self._snapshot())

    def poll(self) -> Measures | None:
        """Let the measuring thread run for ``TURN_SECONDS`` if it has work, then store its results.

        Returns:
            New measurements, already stored in the scene, or the problem that prevents them; None if there is nothing
            new.
        """
        if self._problem:
            problem, self._problem = self._problem, ""
            return Measures(problem=problem)
        if self.busy:
            time.sleep(TURN_SECONDS)
        measures = None if self._measuring is None else self._measuring[1].poll()
        if measures is not None and self._node.GetScene() is not None:
            self._store(measures)
            return measures
        return None

    def measure_now(self) -> Measures:
        """Measure the segmentation in the calling thread and return the complete measurements.

        Raises:
            ValueError: The CT is not in the scene or has another grid.
        """
        from ..correction.measuring import SnapshotMeasurement  # imports scipy and vtk, so only if needed

        volume = self._volume()
        if volume is None:
            raise ValueError(NO_CT)
        *_, measures = SnapshotMeasurement(volume_of_node(volume)).measure(self._snapshot())
        self._store(measures)
        return measures

    def close(self) -> None:
        """Stop the measuring thread; ``update`` starts a new one."""
        if self._measuring is not None:
            self._measuring[1].close()
            self._measuring = None

    def _volume(self) -> Node:
        return ct_of(self._node) if self._node.GetScene() is not None else None

    def _snapshot(self) -> Snapshot:
        content = self._node.GetSegmentation()
        return Snapshot(
            self._copies.of(content),
            segment_infos(content),
            self._original_layers(),
            network_rows(self._node),
            numbers_of(self._node),
        )

    def _original_layers(self) -> list[Layer]:
        """Return the layers of the network's result, the same objects on each call.

        Only a new run changes the network's result, and it brings a new vtkSegmentation.
        """
        original = original_of(self._node)
        if original is None:
            return []
        if self._original is None or self._original[0] is not original:
            self._original = original, unchanging_layers(original)
        return self._original[1]

    @one_drawing()
    def _store(self, measures: Measures) -> None:
        if measures.problem:
            return
        store_measures(self._node, measures)
        sides = {row["segment_id"]: row["side"] for row in measures.rows}
        for segment_id, segment in segments_of(self._node.GetSegmentation()):
            if sides.get(segment_id) and segment.GetTerminology() == terminology.TUMOR[None]:
                segment.SetTerminology(terminology.TUMOR[sides[segment_id]])  # a painted lesion has no side at first
