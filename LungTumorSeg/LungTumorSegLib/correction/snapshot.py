"""What goes from the window to the thread that measures, and what comes back. Needs numpy alone, so that Slicer starts at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.volume import Volume


@dataclass(frozen=True, eq=False)
class Layer:
    """A label map of a segmentation: whole numbers on a part of the CT's grid, and the segments in it by id with their values."""

    labels: Volume
    values: Mapping[str, int]


@dataclass(frozen=True)
class SegmentInfo:
    """What is known of a segment beside its voxels; ``review`` is "", "confirmed" or "rejected"."""

    id: str
    name: str
    terminology: str
    review: str = ""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A segmentation at one moment: layers that nobody changes any more, its segments in their order.

    ``answer``: the layers as the network left them, the same objects each time; none where that is not known. ``network``: the rows of
    the run by segment id. ``numbers``: those that lesions are shown with, by segment id.
    """

    layers: Sequence[Layer]
    segments: Sequence[SegmentInfo]
    answer: Sequence[Layer] = ()
    network: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Measures:
    """The table's rows and the spread as in summary.json; ``removed``: ids of the network's lesions that are none now.

    More follow until they are ``complete``. With ``problem``, a sentence for the user, there is nothing else.
    """

    rows: Sequence[dict[str, Any]] = ()
    spread: Mapping[str, Any] = field(default_factory=dict)
    removed: Sequence[str] = ()
    complete: bool = True
    problem: str = ""
