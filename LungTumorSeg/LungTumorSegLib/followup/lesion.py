"""One lesion of one examination, as a comparison needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.crops import Crop
from ..core.volume import Array
from .lung_grid import thin_points

MOST_POINTS = 2000
"""Number of voxels of a lesion that stand for its shape when it is matched."""


@dataclass(frozen=True, eq=False)
class TimedLesion:
    """A lesion with its measures on one day; a measure that is not known is None.

    Attributes:
        name: Name of its segment.
        crop: Its mask, with canonical axes.
        volume_ml: Volume of the mask, mL.
        long_axis_mm: Longest axial diameter, mm.
        short_axis_mm: Longest diameter perpendicular to it in the same slice, mm.
        mean_hu: Mean HU.
        solid_ml: Volume of the solid part, mL.
        density: "solid", "part-solid" or "ground glass".
        side: "Left" or "Right".
        volume_range_ml: The 5th and 95th percentile of the volume, mL.
        tracking_uid: Identifier that the lesion keeps in all examinations (DICOM Tracking UID); "" if unknown.
    """

    name: str
    crop: Crop
    volume_ml: float
    long_axis_mm: float
    short_axis_mm: float
    mean_hu: float | None = None
    solid_ml: float | None = None
    density: str | None = None
    side: str | None = None
    volume_range_ml: tuple[float, float] | None = None
    tracking_uid: str = ""

    @property
    def points_lps(self) -> Array:
        """Positions (n, 3) of at most ``MOST_POINTS`` voxels, LPS mm."""
        return self.crop.mask.index_to_lps(thin_points(np.argwhere(self.crop.mask.array), MOST_POINTS))

    @property
    def mass_mg(self) -> float | None:
        """Mass, mg: volume times density, where HU of -1000 is 0 mg/mL and HU of 0 is 1000 mg/mL.

        See B. de Hoop et al., Radiology 255:199, 2010, doi:10.1148/radiol.09090571.
        """
        return None if self.mean_hu is None else self.volume_ml * (self.mean_hu + 1000)

    @property
    def is_node(self) -> bool:
        """Whether the segment is named as a lymph node, which RECIST measures by its short axis."""
        words = set(self.name.lower().replace("_", " ").replace("-", " ").split())
        return bool(words & {"node", "nodes", "lymph", "lymphnode", "ln"})

    def as_json(self) -> Mapping[str, Any]:
        """Return the measures for followup.json."""
        low, high = self.volume_range_ml or (None, None)
        return {
            "segment": self.name,
            "side": self.side,
            "volume_ml": self.volume_ml,
            "volume_p5_ml": low,
            "volume_p95_ml": high,
            "long_axis_mm": self.long_axis_mm,
            "short_axis_mm": self.short_axis_mm,
            "mean_hu": self.mean_hu,
            "solid_ml": self.solid_ml,
            "density": self.density,
            "mass_mg": self.mass_mg,
            "tracking_uid": self.tracking_uid or None,
        }
