"""Keeps the lesion table of a segmentation true to its voxels, whoever edits them."""

from __future__ import annotations

import time
from typing import Any

import slicer
from vtk import vtkCommand

from ..core import terminology
from ..correction.remeasuring import Remeasuring
from ..correction.snapshot import Layer, Measures, Snapshot
from .lesion_table import answer_of, network_rows, numbers_of, store_measures
from .nodes import Node, one_drawing
from .results import ct_of, volume_of_node
from .segments import LayerCopies, segment_infos, segments_of, unchanging_layers

TURN_SECONDS = 0.03
"""How long a look at unfinished measures gives Python to the thread that measures, which stands still while Slicer's event loop is idle:
long enough for it to advance, too short for a person to notice."""

POLL_MILLISECONDS = 10
"""How long a window waits between two looks."""

NO_CT = "The CT of this segmentation is not in the scene, so its lesions cannot be measured anew."


def edit_events() -> tuple[Any, ...]:
    """The events of a vtkSegmentation that an edit, a new or lost segment, another name, a mark or an undone step sends."""
    content = slicer.vtkSegmentation
    return (
        content.SourceRepresentationModified,
        content.SegmentModified,
        content.SegmentAdded,
        content.SegmentRemoved,
        vtkCommand.ModifiedEvent,
    )


class LiveTable:
    """The lesion table of one segmentation under correction. Nothing here waits but ``measure_now``.

    ``update`` after an edit copies the layers that were touched; ``poll`` writes into the scene what the measuring thread has found.
    """

    def __init__(self, segmentation: Node) -> None:
        self._node = segmentation
        self._copies = LayerCopies()
        self._answer: tuple[Node, list[Layer]] | None = None
        self._measuring: tuple[Node, Remeasuring] | None = None
        self._problem = ""

    @property
    def busy(self) -> bool:
        """True while measures are still to come."""
        return self._measuring is not None and self._measuring[1].busy

    @property
    def current(self) -> bool:
        """True where all is measured that ``update`` was told of."""
        return self._measuring is not None and not self._measuring[1].busy

    def update(self) -> None:
        """Has the segmentation measured as it is now."""
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
        """Let the measuring thread advance for ``TURN_SECONDS`` while it has work, then look for what it has found.

        Returns:
            New measures, which are then in the scene, or the problem that keeps them from coming; None where there is nothing new.
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
        """Measures in this thread and waits for the end. Raises ValueError where the CT is gone or has another grid."""
        from ..correction.measuring import SnapshotMeasurement

        volume = self._volume()
        if volume is None:
            raise ValueError(NO_CT)
        *_, measures = SnapshotMeasurement(volume_of_node(volume)).measure(self._snapshot())
        self._store(measures)
        return measures

    def close(self) -> None:
        """Ends the measuring thread; ``update`` starts another."""
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
            self._answer_layers(),
            network_rows(self._node),
            numbers_of(self._node),
        )

    def _answer_layers(self) -> list[Layer]:
        """The same objects each time: nobody changes the network's answer but a new run, which brings another vtkSegmentation."""
        answer = answer_of(self._node)
        if answer is None:
            return []
        if self._answer is None or self._answer[0] is not answer:
            self._answer = answer, unchanging_layers(answer)
        return self._answer[1]

    @one_drawing()
    def _store(self, measures: Measures) -> None:
        if measures.problem:
            return
        store_measures(self._node, measures)
        sides = {row["segment_id"]: row["side"] for row in measures.rows}
        for segment_id, segment in segments_of(self._node.GetSegmentation()):
            if sides.get(segment_id) and segment.GetTerminology() == terminology.TUMOR[None]:
                segment.SetTerminology(
                    terminology.TUMOR[sides[segment_id]]
                )  # of a lesion that was painted without a known side
