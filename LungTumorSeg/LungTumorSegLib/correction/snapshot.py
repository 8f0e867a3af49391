"""The data that the panel and the measuring thread exchange.

This module imports only numpy, so that it does not delay Slicer's start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.volume import Volume


@dataclass(frozen=True, eq=False)
class Layer:
    """A label map of a segmentation.

    Attributes:
        labels: Integer labels on a part of the CT's grid.
        values: The label values of the segments in this layer, by segment id.
    """

    labels: Volume
    values: Mapping[str, int]


@dataclass(frozen=True)
class SegmentInfo:
    """The properties of a segment apart from its voxels.

    Attributes:
        id: The id of the segment.
        name: The name of the segment.
        terminology: The terminology entry of the segment.
        review: "", "confirmed" or "rejected".
        confidence: Probability of a tumor of a lesion that was outlined at a place; None for other segments.
    """

    id: str
    name: str
    terminology: str
    review: str = ""
    confidence: float | None = None


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A segmentation at one moment.

    Attributes:
        layers: The layers, which no longer change.
        segments: The segments, in their order.
        answer: The layers as the network left them, the same objects each time; empty if they are not known.
        network: The rows that the run gave the network's lesions, by segment id.
        numbers: The displayed numbers of the lesions, by segment id.
    """

    layers: Sequence[Layer]
    segments: Sequence[SegmentInfo]
    answer: Sequence[Layer] = ()
    network: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Measures:
    """The measurements of a snapshot.

    Attributes:
        rows: The rows of the lesion table.
        spread: The spread as in summary.json.
        removed: The ids of the network's lesions that are no longer lesions.
        complete: Whether no further measurements of this snapshot follow.
        warnings: Sentences for the user about what makes the lungs doubtful.
        problem: A sentence for the user if the snapshot could not be measured; the other fields are then empty.
    """

    rows: Sequence[dict[str, Any]] = ()
    spread: Mapping[str, Any] = field(default_factory=dict)
    removed: Sequence[str] = ()
    complete: bool = True
    warnings: Sequence[str] = ()
    problem: str = ""
