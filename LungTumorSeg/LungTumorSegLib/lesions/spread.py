"""Spread of disease: number, burden, distances, and margins around the lesions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from scipy import ndimage
from scipy.spatial.distance import cdist

from ..core.boxes import Box, grow_box, slices_of
from ..core.volume import Point, Volume
from .components import numbered_crops

NO_NAMES: Mapping[int, str] = MappingProxyType({})

MARGINS_MM = (5.0, 8.0, 20.0)
"""Usual distances from the visible tumor to tissue that may be invaded, mm.

A distance of 6 mm covered the microscopic extension of 95% of squamous cell carcinomas, and 8 mm that of
adenocarcinomas (Giraud 2000, Int J Radiat Oncol Biol Phys 48:1015). A surgeon's margin is 20 mm.
"""


@dataclass(frozen=True)
class Spread:
    """Summary of all lesions.

    Attributes:
        count: The number of lesions.
        burden_ml: Their total volume, mL.
        lung_ml: The volume of both lungs with their lesions, mL; None if no lung is known.
        places: The number of lesions by (side, zone).
        largest_distance_mm: The distance between the centroids of the two lesions that are farthest apart, mm (Dmax, as
            defined by Cottereau 2021, Ann Oncol 32:404); 0 for fewer than two lesions.
    """

    count: int
    burden_ml: float
    lung_ml: float | None
    places: dict[tuple[str, str], int]
    largest_distance_mm: float

    @property
    def burden_percent(self) -> float | None:
        """Burden in percent of the volume of the lungs."""
        return None if not self.lung_ml else 100 * self.burden_ml / self.lung_ml


def spread_of(
    volumes_ml: Sequence[float], centroids: Sequence[Point], places: Sequence[tuple[str, str]], lung_ml: float | None
) -> Spread:
    """Summarize the spread of lesions.

    Args:
        volumes_ml: Their volumes, mL.
        centroids: Their centroids, LPS mm.
        places: Their places (side, zone); empty if no lung is known.
        lung_ml: The volume of both lungs, mL; None if no lung is known.
    """
    largest = float(cdist(centroids, centroids).max()) if centroids else 0.0
    return Spread(len(volumes_ml), float(sum(volumes_ml)), lung_ml, dict(Counter(places)), largest)


def distances_from_dominant_mm(centroids: Sequence[Point]) -> tuple[float, ...]:
    """Return the distance of each lesion's centroid from that of the first lesion, which is the largest, mm."""
    return tuple(cdist(centroids[:1], centroids)[0].tolist()) if centroids else ()


@dataclass(frozen=True, eq=False)
class Margin:
    """The tissue around a lesion that belongs to no lesion.

    Attributes:
        number: The number of the lesion.
        segment: The name of the lesion's segment.
        distance_mm: The largest distance from the lesion, mm.
        mask: The margin (bool), which fills ``box``.
        box: The box of the CT's grid.
    """

    number: int
    segment: str
    distance_mm: float
    mask: Volume
    box: Box

    @property
    def volume_ml(self) -> float:
        """Volume of the margin's voxels, mL."""
        return self.mask.mask_ml

    @property
    def name(self) -> str:
        """The name of the margin's segment.

        It contains "margin", so that the segment is not mistaken for a lesion.
        """
        return f"{self.segment} margin {self.distance_mm:g} mm"


def margins(
    labels: Volume,
    lungs: Volume,
    body: Volume | None = None,
    distances_mm: Sequence[float] = MARGINS_MM,
    names: Mapping[int, str] = NO_NAMES,
) -> Iterator[Margin]:
    """Yield margins around each lesion, as from GTV to CTV, clipped at the surfaces of lungs and body.

    All volumes lie on one grid. Distances are measured between voxel centers.

    Args:
        labels: The lesions; 0 elsewhere.
        lungs: Both lungs (bool).
        body: The body (bool); None if it is not known.
        distances_mm: The widths of the margins, mm.
        names: The names of the lesions by label, "Tumor n" by default.
    """
    for number, lesion in numbered_crops(labels):
        box = grow_box(lesion.box, max(distances_mm), labels)
        here = slices_of(box)
        distance_mm = ndimage.distance_transform_edt(~lesion.filling(box), sampling=labels.spacing)
        allowed = lungs.array[here] & (labels.array[here] == 0)
        if body is not None:
            allowed &= body.array[here]
        crop = labels.crop(*box)
        for limit_mm in distances_mm:
            segment = names.get(number, f"Tumor {number}")
            yield Margin(number, segment, limit_mm, crop.with_array(allowed & (distance_mm <= limit_mm)), box)
