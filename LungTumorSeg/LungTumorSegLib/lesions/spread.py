"""How far disease has spread: number, burden, distances; and margins about the lesions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.distance import cdist

from ..core.boxes import Box, grown, put, slices_of
from ..core.volume import Volume
from .components import numbered_crops
from .diameters import Point

MARGINS_MM = (5.0, 8.0, 20.0)
"""Usual distances from visible tumor to what may be invaded: 6 mm covered the microscopic extension of 95 % of squamous cell carcinomas,
8 mm that of adenocarcinomas (Giraud 2000, Int J Radiat Oncol Biol Phys 48:1015); 20 mm is a surgeon's margin."""


@dataclass(frozen=True)
class Spread:
    """Summary over all lesions.

    ``places``: number of lesions by (side, zone). ``lung_ml``: both lungs with their lesions, None where no lung is known.
    ``largest_distance_mm``: between the centroids of the two lesions farthest apart (Dmax, as Cottereau
    2021, Ann Oncol 32:404, takes it), 0 for fewer than two.
    """

    count: int
    burden_ml: float
    lung_ml: float | None
    places: dict[tuple[str, str], int]
    largest_distance_mm: float

    @property
    def burden_percent(self) -> float | None:
        """Burden in per cent of the lungs' volume."""
        return None if not self.lung_ml else 100 * self.burden_ml / self.lung_ml


def spread_of(
    volumes_ml: Sequence[float], centroids: Sequence[Point], places: Sequence[tuple[str, str]], lung_ml: float | None
) -> Spread:
    """The spread of lesions by their volumes (mL), centroids (LPS mm) and places (side, zone; none where no lung is known)."""
    largest = float(cdist(centroids, centroids).max()) if centroids else 0.0
    return Spread(len(volumes_ml), float(sum(volumes_ml)), lung_ml, dict(Counter(places)), largest)


def distances_from_dominant_mm(centroids: Sequence[Point]) -> tuple[float, ...]:
    """Distance of each lesion's centroid from that of the first, which is the largest."""
    return tuple(cdist(centroids[:1], centroids)[0].tolist()) if centroids else ()


@dataclass(frozen=True, eq=False)
class Margin:
    """What lies within ``distance_mm`` of lesion ``number``, called ``segment``, and is no lesion itself.

    ``mask`` (bool) fills the ``box`` of the CT's grid.
    """

    number: int
    segment: str
    distance_mm: float
    mask: Volume
    box: Box

    @property
    def volume_ml(self) -> float:
        """Volume of its voxels."""
        return float(np.count_nonzero(self.mask.array)) * self.mask.voxel_volume_ml

    @property
    def name(self) -> str:
        """The segment's name; it says margin, so that the segment is not taken for a lesion."""
        return f"{self.segment} margin {self.distance_mm:g} mm"


def margins(
    labels: Volume,
    lungs: Volume,
    body: Volume | None = None,
    distances_mm: Sequence[float] = MARGINS_MM,
    names: Sequence[str] | None = None,
) -> Iterator[Margin]:
    """Margins about each lesion of ``labels`` (1 ... n), from GTV to CTV: clipped at the surfaces of the ``lungs`` and the ``body`` (bool).

    All volumes lie on one grid. Distances run between voxel centers. ``names`` are the lesions', "Tumor n" where not given.
    """
    for number, lesion in numbered_crops(labels):
        box = grown(lesion.box, max(distances_mm), labels)
        here = slices_of(box)
        distance_mm = ndimage.distance_transform_edt(~put(lesion.mask.array, lesion.box, box), sampling=labels.spacing)
        allowed = lungs.array[here] & (labels.array[here] == 0)
        if body is not None:
            allowed &= body.array[here]
        crop = labels.crop(*box)
        for limit_mm in distances_mm:
            segment = f"Tumor {number}" if names is None else names[number - 1]
            yield Margin(number, segment, limit_mm, crop.with_array(allowed & (distance_mm <= limit_mm)), box)
