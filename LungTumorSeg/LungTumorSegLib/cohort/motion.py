"""How lesions move and change over the phases of a 4D CT: phases.csv."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.crops import crop_of
from ..core.csv_tables import write_table
from ..core.errors import UnusableInput
from ..core.volume import Array
from ..followup.lesion import MOST_POINTS
from ..followup.lung_grid import thin_points
from ..followup.matching import Placed, match
from ..io.segmentations import read_segmentation
from .output_tables import ITEM_COLUMNS, Row

CENTROID = ("centroid_x_lps_mm", "centroid_y_lps_mm", "centroid_z_lps_mm")

PHASE_COLUMNS = (
    *ITEM_COLUMNS, "lesion", "segment", "side", "volume_ml", "volume_change_percent", "long_axis_mm", *CENTROID,
    "displacement_x_lps_mm", "displacement_y_lps_mm", "displacement_z_lps_mm", "displacement_mm",
)  # fmt: skip
"""Columns of phases.csv; new ones are appended."""

BREATH_MM = 8.0
"""How far a lesion may move between two phases beyond the gap that matching allows, mm.

Tumors near the diaphragm move by up to 30 mm in a breath (Seppenwoolde et al. 2002, doi:10.1016/S0360-3016(02)02803-1),
which a 4D CT divides into ten phases.
"""


@dataclass(eq=False)
class Track:
    """One lesion over the phases of a CT.

    Attributes:
        name: Name of the lesion, such as "L1".
        last: Where it was seen last.
        lesions: Its row of summary.json by number of the phase.
    """

    name: str
    last: Placed
    lesions: dict[int, dict[str, Any]] = field(default_factory=dict)


def write_phases(groups: Sequence[Sequence[Row]], output: Path, path: Path) -> None:
    """Write phases.csv: one row per lesion and phase.

    Args:
        groups: For each 4D CT the rows of its phases.
        output: The folder of the cohort, with the result folders.
        path: The file to write.

    Raises:
        OSError: If the file cannot be written.
    """
    write_table(path, PHASE_COLUMNS, (cells for rows in groups for cells in _cells(rows, tracks_of(rows, output))))


def tracks_of(rows: Sequence[Row], output: Path) -> list[Track]:
    """Return the lesions of a 4D CT: those of each phase are linked to where each lesion was seen last."""
    tracks: list[Track] = []
    for number, row in enumerate(rows):
        seen = list(_placed(row, output))
        groups = match([track.last for track in tracks], [place for _, place in seen], residual_mm=BREATH_MM)
        known = list(tracks)
        for group in groups:
            before = [known[index] for index in group.earlier]
            after = sorted((seen[index] for index in group.later), key=lambda each: -each[1].volume_ml)
            before.sort(key=lambda track: -track.last.volume_ml)
            for place, (lesion, placed) in enumerate(after):
                if place < len(before):
                    track = before[place]
                else:
                    track = Track(f"L{len(tracks) + 1}", placed)
                    tracks.append(track)
                track.last = placed
                track.lesions[number] = lesion
    return tracks


def _placed(row: Row, output: Path) -> Iterator[tuple[dict[str, Any], Placed]]:
    """Yield the lesions of a phase, as its summary.json states them, with their voxels."""
    try:
        segments = read_segmentation(output / row.item.case) if row.lesions else []
    except UnusableInput:  # The result was changed in the meantime.
        return
    crops = {segment.name: crop_of(segment.mask) for segment in segments}
    for lesion in row.lesions:
        crop = crops.get(str(lesion.get("segment")))
        if crop is not None and lesion.get("volume_ml"):
            points = crop.mask.index_to_lps(thin_points(np.argwhere(crop.mask.array), MOST_POINTS))
            yield lesion, Placed(points, lesion["volume_ml"], lesion.get("mean_hu"), max(crop.mask.spacing))


def _cells(rows: Sequence[Row], tracks: Sequence[Track]) -> Iterator[list[object]]:
    for number, row in enumerate(rows):
        for track in tracks:
            if number in track.lesions:
                lesion = track.lesions[number]
                names = [getattr(row.item, name) for name in ITEM_COLUMNS]
                yield [*names, track.name, *_values(lesion, track.lesions.get(0))]


def _values(lesion: dict[str, Any], first: dict[str, Any] | None) -> list[object]:
    """Return the cells of a lesion from "segment" on; what refers to the first phase is empty without it."""
    shift: list[float | None] = [None] * 4
    change = None
    if first is not None:
        moved = _centroid(lesion) - _centroid(first)
        shift = [round(float(each), 3) for each in (*moved, np.linalg.norm(moved))]
        change = round(100 * (lesion["volume_ml"] / first["volume_ml"] - 1), 3)
    own = [lesion.get(name) for name in ("segment", "side", "volume_ml")]
    return [*own, change, lesion.get("long_axis_mm"), *(lesion.get(name) for name in CENTROID), *shift]


def _centroid(lesion: dict[str, Any]) -> Array:
    return np.array([lesion[name] for name in CENTROID], dtype=float)
