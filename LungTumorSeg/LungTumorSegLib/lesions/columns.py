"""The columns of a lesion: the only place that names them.

lesions.csv, summary.json and its schema, the scene's table, the panel and docs/reference/files.md derive from
``COLUMNS``. To add a column, append it here, then run ``Testing/tools/write_result_schemas.py``. This module needs the
standard library only, so that Slicer can import it at start-up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.csv_tables import Value
from ..core.lesion_words import Counted, Density, Depth, Side, SideFromDominant, SizeCategory, ZoneName

if TYPE_CHECKING:
    from .lesion import Lesion
    from .location import Location


@dataclass(frozen=True)
class Column:
    """A column of the lesion table.

    Attributes:
        name: Header in lesions.csv and key in summary.json, which never change; it ends with the unit.
        kind: Type of the values, with None if a value may be unknown; summary.schema.json states it.
        value: Returns the value of a lesion.
        meaning: One line for the documentation.
        unit: Unit, or the range of a share; empty for texts and counts.
        heading: Heading in the panel; empty if the panel does not show the column.
        decimals: Number of decimals that the panel shows.
    """

    name: str
    kind: Any
    value: Callable[[Lesion], Value]
    meaning: str
    unit: str = ""
    heading: str = ""
    decimals: int = 2

    @property
    def type(self) -> type[str | int | float]:
        """The type of the known values: int, float or str."""
        return int if self.kind is Counted else float if self.kind in (float, float | None) else str

    def text(self, value: object) -> str:
        """Return a value as the panel shows it; "?" if it is unknown."""
        if value is None or value == "" or value != value:  # NaN differs from itself
            return "?"
        return f"{value:.{self.decimals}f}" if isinstance(value, float) else str(value)


def _where(value: Callable[[Location], Value]) -> Callable[[Lesion], Value]:
    return lambda lesion: None if lesion.location is None else value(lesion.location)


def _centroid(axis: str) -> Column:
    index, meaning = "xyz".index(axis), f"center of mass of the mask, {axis} (LPS)"
    return Column(f"centroid_{axis}_lps_mm", float, lambda lesion: lesion.centroid_lps[index], meaning, "mm")


def _shape(name: str, unit: str, meaning: str) -> Column:
    return Column(name, float | None, lambda lesion: float(getattr(lesion.shape, name)), f"{meaning} (IBSI)", unit)


def _hu(name: str, meaning: str) -> Column:
    return Column(name, float | None, lambda lesion: float(getattr(lesion.hu, name)), f"{meaning} (IBSI)", "HU")


FIRST_COLUMNS: tuple[Column, ...] = (
    Column(
        "number",
        Counted,
        lambda lesion: lesion.number,
        'the number in the name of its segment: "Tumor 3" is lesion 3, in tables, report and panel alike. `segment` '
        "numbers lesions by volume, 1 is the largest; a lesion keeps its number when it is corrected. Rows are sorted "
        "by volume. A segment without a number in its name gets the next free one",
        heading="Lesion",
    ),
    Column("segment", str, lambda lesion: lesion.segment, "name of the segment"),
    Column(
        "side",
        Side | None,
        lambda lesion: lesion.side,
        'the patient\'s own "Left" or "Right" lung',
        heading="Side",
    ),
    Column(
        "volume_ml",
        float,
        lambda lesion: lesion.volume_ml,
        "voxels times the volume of a voxel",
        "mL",
        heading="Volume",
    ),
    Column(
        "long_axis_mm",
        float,
        lambda lesion: lesion.long_axis_mm,
        "longest diameter in an axial slice (RECIST 1.1)",
        "mm",
        heading="Long",
        decimals=1,
    ),
    Column(
        "short_axis_mm",
        float,
        lambda lesion: lesion.short_axis_mm,
        "longest diameter perpendicular to it in that slice",
        "mm",
        heading="Short",
        decimals=1,
    ),
    Column(
        "mean_hu",
        float,
        lambda lesion: lesion.mean_hu,
        "mean of the lesion's voxels",
        "HU",
        heading="Mean",
        decimals=0,
    ),
    *(_centroid(axis) for axis in "xyz"),
    Column(
        "confidence",
        float | None,
        lambda lesion: lesion.confidence,
        "probability of a tumor by the second network; with `--no-verify`, mean probability minus mean standard "
        "deviation across stacks",
        "0 to 1",
        heading="Confidence",
    ),
)
"""The first columns of lesions.csv, on whose names and positions other programs rely."""

COLUMNS: tuple[Column, ...] = (
    *FIRST_COLUMNS,
    Column(
        "volume_p5_ml",
        float | None,
        lambda lesion: lesion.volume_range_ml and lesion.volume_range_ml[0],
        "lower end of the range of the volume by the standard deviation across stacks",
        "mL",
    ),
    Column(
        "volume_p95_ml",
        float | None,
        lambda lesion: lesion.volume_range_ml and lesion.volume_range_ml[1],
        "upper end of that range",
        "mL",
    ),
    Column(
        "size_category",
        SizeCategory,
        lambda lesion: lesion.size_category,
        "T descriptor of TNM 9 by size alone: the long axis, of part-solid lesions that of the solid part; Tis and "
        "T1mi of subsolid lesions are not told apart",
    ),
    Column("density", Density, lambda lesion: lesion.density, "solid, part-solid or ground glass"),
    Column("solid_ml", float | None, lambda lesion: lesion.solid_ml, "volume of -300 HU or more", "mL"),
    Column(
        "solid_long_axis_mm",
        float | None,
        lambda lesion: lesion.solid_long_axis_mm,
        "long axis of the largest solid part",
        "mm",
    ),
    Column(
        "zone", ZoneName | None, _where(lambda where: where.zone), "upper, middle or lower third of the lung's height"
    ),
    Column(
        "depth",
        Depth | None,
        _where(lambda where: where.depth),
        "central (within 20 mm of the mediastinum) or peripheral",
    ),
    Column(
        "pleura_distance_mm",
        float | None,
        _where(lambda where: where.pleura.distance_mm),
        "shortest distance to the pleura",
        "mm",
    ),
    Column(
        "mediastinum_distance_mm",
        float | None,
        _where(lambda where: where.mediastinum_mm),
        "shortest distance to the mediastinum",
        "mm",
    ),
    Column(
        "pleural_contact_cm2",
        float | None,
        _where(lambda where: where.pleura.area_cm2),
        "area of contact with the pleura",
        "cm2",
    ),
    Column(
        "pleural_contact_length_mm",
        float | None,
        _where(lambda where: where.pleura.length_mm),
        "longest extent of that contact",
        "mm",
    ),
    Column(
        "mediastinal_contact_cm2",
        float | None,
        _where(lambda where: where.pleura.mediastinum_cm2),
        "part of `pleural_contact_cm2` at the mediastinum",
        "cm2",
    ),
    Column(
        "chest_wall_contact_cm2",
        float | None,
        _where(lambda where: where.pleura.chest_wall_cm2),
        "part of `pleural_contact_cm2` at the chest wall",
        "cm2",
    ),
    Column(
        "diaphragm_contact_cm2",
        float | None,
        _where(lambda where: where.pleura.diaphragm_cm2),
        "part of `pleural_contact_cm2` at the diaphragm",
        "cm2",
    ),
    Column(
        "distance_from_dominant_mm",
        float | None,
        lambda lesion: lesion.distance_from_dominant_mm,
        "distance between the centroids of this lesion and the largest",
        "mm",
    ),
    _shape("mesh_volume_ml", "mL", "volume of the surface mesh"),
    _shape("surface_mm2", "mm2", "area of the surface mesh"),
    _shape("sphericity", "0 to 1", "how close the surface mesh is to a sphere"),
    _shape("diameter_3d_mm", "mm", "maximum 3D diameter"),
    _shape("major_axis_mm", "mm", "largest principal axis length"),
    _shape("minor_axis_mm", "mm", "second principal axis length"),
    _shape("least_axis_mm", "mm", "smallest principal axis length"),
    _shape("elongation", "0 to 1", "ratio of the minor to the major axis"),
    _shape("flatness", "0 to 1", "ratio of the least to the major axis"),
    _hu("sd_hu", "standard deviation"),
    _hu("min_hu", "minimum"),
    _hu("p5_hu", "5th percentile"),
    _hu("p10_hu", "10th percentile"),
    _hu("p25_hu", "25th percentile"),
    _hu("median_hu", "median"),
    _hu("p75_hu", "75th percentile"),
    _hu("p90_hu", "90th percentile"),
    _hu("p95_hu", "95th percentile"),
    _hu("max_hu", "maximum"),
    Column(
        "carina_distance_mm",
        float | None,
        _where(lambda where: where.carina_mm),
        "shortest distance from the lesion to the carina",
        "mm",
    ),
    Column(
        "side_from_dominant",
        SideFromDominant | None,
        lambda lesion: lesion.side_from_dominant,
        '"same side" or "other side" as the largest lesion',
    ),
)
"""All columns of a lesion in the order of lesions.csv; new columns are appended."""

COLUMN: dict[str, Column] = {column.name: column for column in COLUMNS}
"""All columns by name."""
