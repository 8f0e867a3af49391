"""The lesion table of a corrected segmentation: measurements, and for each lesion what a person changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.boxes import mask_on_grid
from ..core.crops import Crop
from ..lesions.table import lesion_as_json
from ..results.lesion_rows import ADDED, CORRECTED, number_lesions
from .layers import same_voxels
from .live import LiveReport

OF_THE_MASK = ("volume_p5_ml", "volume_p95_ml")
"""Columns in which the network describes its own outline; they do not hold for a corrected outline."""

Row = dict[str, Any]


def correction_rows(
    report: LiveReport,
    crops: Mapping[str, Crop | None],
    *,
    answer: Mapping[str, Crop | None] | None,
    network: Mapping[str, Row],
    reviews: Mapping[str, str],
    numbers: Mapping[str, int],
    clicked: Mapping[str, float],
) -> list[Row]:
    """Turn a report into one row per lesion, numbered after the segments.

    Args:
        report: Lesions and rejected lesions.
        crops: The present masks, by segment id.
        answer: The masks of the network's lesions, by segment id; None if the network's result is not known.
        network: The rows that the run gave the network's lesions, by segment id.
        reviews: "confirmed", "rejected" or "" by segment id, in the order of the segmentation.
        numbers: The previous numbers of the lesions, by segment id.
        clicked: The probability of a tumor of each lesion that was outlined at a place, by segment id.

    Returns:
        Rows with the columns of lesions.csv and four more: correction, review, network_volume_ml, segment_id. The
        ``confidence`` of a lesion is the network's confidence for its own outline, of the run or of the place that a
        person pointed at, whatever was corrected since.
    """
    rows = []
    for segment_id, lesion in zip(report.ids, (*report.lesions, *report.rejected), strict=True):
        said, own = network.get(segment_id, {}), (answer or {}).get(segment_id)
        correction = "" if answer is None else _correction_of(crops[segment_id], own, answer.values())
        row = lesion_as_json(lesion)
        row["confidence"] = clicked.get(segment_id, said.get("confidence"))
        row |= {name: said.get(name) for name in OF_THE_MASK if not correction}
        row |= {
            "correction": correction,
            "review": reviews.get(segment_id, ""),
            "network_volume_ml": said.get("volume_ml") if own is None else _volume_ml(own),
            "segment_id": segment_id,
        }
        rows.append(row)
    order = {segment_id: index for index, segment_id in enumerate(reviews)}
    return number_lesions(sorted(rows, key=lambda row: order[row["segment_id"]]), numbers)


def _correction_of(now: Crop | None, own: Crop | None, found: Iterable[Crop | None]) -> str:
    """Return how a lesion differs from the network's result.

    Args:
        now: The present mask of the lesion.
        own: The mask that the network gave the same segment; None if it gave none.
        found: The masks of all lesions that the network found.

    Returns:
        "" if the lesion is unchanged, otherwise ``CORRECTED`` or ``ADDED``.
    """
    if own is not None:
        return "" if same_voxels(now, own) else CORRECTED
    overlaps = now is not None and any(
        other is not None and (mask_on_grid(other.mask, now.mask) & now.mask.array).any() for other in found
    )
    return CORRECTED if overlaps else ADDED  # the network also found a component that a person split off later


def _volume_ml(crop: Crop) -> float:
    return float(f"{crop.mask.mask_ml:.7g}")
