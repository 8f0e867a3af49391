"""Turn snapshots of a segmentation under correction into the rows of its lesion table."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.selection import is_lesion
from ..core.volume import CTVolume, Volume
from ..lesions.table import spread_as_json
from .layers import SegmentMasks
from .live import LiveMeasurement, LiveSegment
from .rows import correction_rows
from .snapshot import Layer, Measures, Snapshot


class SnapshotMeasurement:
    """Measure successive snapshots in the thread that calls."""

    def __init__(self, ct: Volume) -> None:
        """Prepare for snapshots of one CT.

        Args:
            ct: The CT (HU), in any orientation. Its array must not change afterwards.
        """
        self._masks = SegmentMasks(ct.grid)
        self._answer_masks = SegmentMasks(ct.grid)
        self._live = LiveMeasurement(self._masks.order.apply(CTVolume(ct.array, ct.affine)))

    def measure(self, snapshot: Snapshot) -> Iterator[Measures]:
        """Yield the measurements of a snapshot, more complete with each step.

        Raises:
            UnusableInput: The segmentation does not lie on the voxels of the CT.
        """
        crops = self._masks.update(snapshot.layers)
        found = [
            Layer(layer.labels, {i: n for i, n in layer.values.items() if i in snapshot.network})
            for layer in snapshot.answer
        ]
        answer = self._answer_masks.update(found) if found else None
        segments = [
            LiveSegment(info.id, info.name, info.terminology, crops[info.id], info.review) for info in snapshot.segments
        ]
        reviews = {info.id: info.review for info in snapshot.segments}
        clicked = {info.id: info.confidence for info in snapshot.segments if info.confidence is not None}
        there = {segment.id for segment in segments if segment.crop is not None and is_lesion(segment)}
        removed = [segment_id for segment_id in snapshot.network if segment_id not in there]
        for report in self._live.update(segments):
            rows = correction_rows(
                report,
                crops,
                answer=answer,
                network=snapshot.network,
                reviews=reviews,
                numbers=snapshot.numbers,
                clicked=clicked,
            )
            yield Measures(rows, spread_as_json(report), removed, report.complete, report.warnings)
