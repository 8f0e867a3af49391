"""The measurements of one lesion."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.components import largest_component
from ..core.crops import Crop
from ..core.lesion_words import Density, Side, SideFromDominant, SizeCategory
from ..core.volume import CTVolume, Point, Volume
from .diameters import Ruler, axial_diameters
from .location import Location
from .maps import Maps
from .measurements import (
    Intensities,
    Shape,
    SolidPart,
    centroid_lps,
    intensities_of,
    shape_of,
    solid_part,
)
from .staging import size_category


@dataclass(frozen=True)
class Lesion:
    """One lesion and its measurements.

    Attributes:
        number: The number of the lesion: that of its segment's name, and its label in ``LesionReport.labels``.
        segment: The name of its segment.
        volume_ml: The volume of its voxels, mL.
        centroid_lps: The mean position of its voxels, LPS mm.
        long_axis: The longest axial diameter.
        short_axis: The longest diameter perpendicular to it in the same slice.
        shape: Surface and shape.
        hu: HU statistics.
        density: "solid", "part-solid" or "ground glass".
        solid_ml: The volume of the solid part, mL.
        solid_long_axis: The long axis of the largest solid component; None if nothing is solid.
        location: The location in the lung; None if no lung is known.
        distance_from_dominant_mm: The distance between the centroids of this and of the largest lesion, mm.
        dominant_side: The side of the largest lesion.
        confidence: The network's confidence, 0 to 1; None without probabilities.
        volume_range_ml: The 5th and 95th percentile of the volume, mL; None without probabilities.
    """

    number: int
    segment: str
    volume_ml: float
    centroid_lps: Point
    long_axis: Ruler
    short_axis: Ruler
    shape: Shape
    hu: Intensities
    density: Density
    solid_ml: float
    solid_long_axis: Ruler | None
    location: Location | None
    distance_from_dominant_mm: float
    dominant_side: Side | None
    confidence: float | None
    volume_range_ml: tuple[float, float] | None

    @property
    def side(self) -> Side | None:
        """The patient's own "Left" or "Right"; None if no lung is known."""
        return self.location.side if self.location else None

    @property
    def place(self) -> str:
        """The side in words: "Left lung", "Right lung" or "side unknown"."""
        return f"{self.side} lung" if self.side else "side unknown"

    @property
    def side_from_dominant(self) -> SideFromDominant | None:
        """Whether the lesion lies on the side of the dominant lesion; None if no lung is known."""
        if self.side is None or self.dominant_side is None:
            return None
        return "same side" if self.side == self.dominant_side else "other side"

    @property
    def long_axis_mm(self) -> float:
        """Longest axial diameter, mm (RECIST 1.1)."""
        return self.long_axis.length_mm

    @property
    def short_axis_mm(self) -> float:
        """Longest diameter perpendicular to the long axis in the same slice, mm."""
        return self.short_axis.length_mm

    @property
    def solid_long_axis_mm(self) -> float | None:
        """Long axis of the largest solid part, mm; None if nothing is solid."""
        return self.solid_long_axis.length_mm if self.solid_long_axis else None

    @property
    def mean_hu(self) -> float:
        """Mean over the lesion's voxels, HU."""
        return self.hu.mean_hu

    @property
    def size_category(self) -> SizeCategory:
        """Size category of the T descriptor, T1a to T4, by size alone.

        The size is the axial long axis; for a part-solid lesion, it is the long axis of the solid part.
        """
        solid_mm = self.solid_long_axis_mm if self.density == "part-solid" else None
        return size_category(self.long_axis_mm if solid_mm is None else solid_mm)


def measure_lesion(
    crop: Crop,
    *,
    number: int,
    segment: str,
    ct: CTVolume,
    labels: Volume,
    location: Location | None,
    from_dominant_mm: float,
    dominant_side: Side | None,
    maps: Maps | None,
) -> Lesion:
    """Measure one lesion; all volumes lie on one grid with canonical axes.

    Args:
        crop: The mask of the lesion.
        number: Its label in ``labels``.
        segment: The name of its segment.
        ct: The CT (HU).
        labels: The labels of all lesions.
        location: Its location; None if no lung is known.
        from_dominant_mm: The distance of its centroid from that of the largest lesion, mm.
        dominant_side: The side of the largest lesion.
        maps: The network's maps; None if there are none.
    """
    diameters = axial_diameters(crop.mask)
    solid = solid_part(crop, ct)
    return Lesion(
        number=number,
        segment=segment,
        volume_ml=crop.mask.mask_ml,
        centroid_lps=centroid_lps(crop.mask),
        long_axis=diameters.long_axis,
        short_axis=diameters.short_axis,
        shape=shape_of(crop.mask),
        hu=intensities_of(crop.voxels_of(ct)),
        density=solid.density,
        solid_ml=solid.volume_ml,
        solid_long_axis=_solid_long_axis(solid),
        location=location,
        distance_from_dominant_mm=from_dominant_mm,
        dominant_side=dominant_side,
        confidence=None if maps is None else maps.confidence_of(crop),
        volume_range_ml=None if maps is None else maps.volume_range_ml(crop, number, labels),
    )


def _solid_long_axis(solid: SolidPart) -> Ruler | None:
    """Return the axial long axis of the largest solid component."""
    largest = largest_component(solid.mask.array)
    return None if largest is None else axial_diameters(solid.mask.with_array(largest)).long_axis
