"""One lesion followed over several examinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .growth import DoublingTime, SizeStatus, change_percent, doubling_time, ratio_sigma, status_of
from .lesion import TimedLesion
from .matching import Placed
from .size_classes import fleischner_size, fleischner_volume, lung_rads_growth, lung_rads_size, mean_diameter_mm

Status = Literal["stable", "grown", "shrunk", "new", "gone", "split", "merged"]

Visit = tuple[TimedLesion, ...]
"""What one lesion is in one examination: nothing, one outline, or several pieces."""


@dataclass(frozen=True, eq=False)
class Track:
    """A lesion over time.

    Attributes:
        id: Its id, the same in every examination.
        visits: What it was in each examination, oldest first; at least two.
        confidence: Confidence of its last match, 0 to 1; None if it is new or gone.
        merged_ids: Ids of lesions that have merged into this one.
        later_probability: For a gone lesion, the highest tumor probability at its place now; None if unknown.
        place_lps: Center in the later CT, LPS mm: of the lesion or, if it is gone, of where it would be; None if
            unknown.
        earlier_place_lps: The same in the earlier CT: of the lesion or, if it is new, of where it would have been.
        last_seen: Of a lesion that is gone, what it was when it was last there, as it would lie in the later CT.
        later_in_view: Whether the later CT shows its place; only then is a lesion known to be gone.
    """

    id: str
    visits: tuple[Visit, ...]
    confidence: float | None = None
    merged_ids: tuple[str, ...] = ()
    later_probability: float | None = None
    place_lps: tuple[float, float, float] | None = None
    earlier_place_lps: tuple[float, float, float] | None = None
    last_seen: Placed | None = None
    later_in_view: bool = True

    @property
    def earlier(self) -> Visit:
        """What it was in the last examination but one."""
        return self.visits[-2]

    @property
    def later(self) -> Visit:
        """What it is in the last examination."""
        return self.visits[-1]

    @property
    def status(self) -> Status:
        """What became of it between the last two examinations."""
        if not self.later:
            return "gone"
        if not self.earlier:
            return "new"
        if len(self.later) > len(self.earlier):
            return "split"
        if len(self.earlier) > len(self.later):
            return "merged"
        return self.size_status or "stable"

    @property
    def returned(self) -> bool:
        """Whether it is there again, but was not in the last examination but one."""
        return bool(self.later) and not self.earlier and any(self.visits[:-2])

    @property
    def shown_status(self) -> str:
        """Its status for people: "back" rather than "new" if it was there before, "not shown" rather than "gone"."""
        if self.returned:
            return "back"
        return self.status if self.later_in_view else "not shown"

    @property
    def size_status(self) -> SizeStatus | None:
        """Return "stable", "grown" or "shrunk" by the total volume; None if the lesion is new or gone."""
        if not self.earlier or not self.later:
            return None
        return status_of(volume_ml(self.earlier), volume_ml(self.later))

    @property
    def change_ml(self) -> float:
        """Change of the total volume, mL."""
        return volume_ml(self.later) - volume_ml(self.earlier)

    @property
    def change_percent(self) -> float | None:
        """Change of the total volume in percent of the earlier one; None if it is new."""
        return change_percent(volume_ml(self.earlier), volume_ml(self.later)) if self.earlier else None

    def doubling_time(self, days: float | None) -> DoublingTime | None:
        """Return the doubling time of the total volume; None without dates, or if the lesion is new or gone."""
        if days is None or not self.earlier or not self.later:
            return None
        sigma = ratio_sigma(self.earlier, self.later)
        return doubling_time(volume_ml(self.earlier), volume_ml(self.later), days, sigma)

    def as_json(self, days: float | None) -> dict[str, Any]:
        """Return the entry of followup.json."""
        doubling = self.doubling_time(days)
        return {
            "id": self.id,
            "status": self.status,
            "size_status": self.size_status,
            "match_confidence": self.confidence,
            "merged_ids": list(self.merged_ids),
            "earlier": [lesion.as_json() for lesion in self.earlier],
            "later": [lesion.as_json() for lesion in self.later],
            "volume_earlier_ml": volume_ml(self.earlier),
            "volume_later_ml": volume_ml(self.later),
            "volume_change_ml": self.change_ml,
            "volume_change_percent": self.change_percent,
            "doubling_time_days": None if doubling is None else doubling.days,
            "doubling_time_range_days": None if doubling is None else list(doubling.range_days),
            "long_axis_earlier_mm": long_axis_mm(self.earlier),
            "long_axis_later_mm": long_axis_mm(self.later),
            "long_axis_change_mm": long_axis_mm(self.later) - long_axis_mm(self.earlier),
            "mean_hu_change": _change(self.earlier, self.later, "mean_hu"),
            "solid_change_ml": _change(self.earlier, self.later, "solid_ml"),
            "mass_change_mg": _change(self.earlier, self.later, "mass_mg"),
            "later_probability": self.later_probability,
            "size_and_growth_class": self.size_and_growth_class(days),
            "place_lps_mm": None if self.place_lps is None else list(self.place_lps),
            "earlier_place_lps_mm": None if self.earlier_place_lps is None else list(self.earlier_place_lps),
            "volumes_ml": [volume_ml(visit) for visit in self.visits],
            "returned": self.returned,
            "later_in_view": self.later_in_view,
        }

    def size_and_growth_class(self, days: float | None) -> Mapping[str, Any] | None:
        """Return the size and growth classes of a lesion that is a single outline now."""
        if len(self.later) != 1:
            return None
        now = self.later[0]
        mean = mean_diameter_mm(now.long_axis_mm, now.short_axis_mm)
        growth = None
        if len(self.earlier) == 1:
            before = mean_diameter_mm(self.earlier[0].long_axis_mm, self.earlier[0].short_axis_mm)
            growth = lung_rads_growth(before, mean, days)
        return {
            "mean_diameter_mm": mean,
            "lung_rads_2022_size": lung_rads_size(mean, now.density, is_new=not self.earlier and not self.returned),
            "lung_rads_2022_growth": growth,
            "fleischner_2017_size": fleischner_size(now.long_axis_mm, now.short_axis_mm),
            "fleischner_2017_volume": fleischner_volume(now.volume_ml),
        }


def volume_ml(visit: Visit) -> float:
    """Return the total volume of all pieces, mL; 0 if there are none."""
    return sum(lesion.volume_ml for lesion in visit)


def long_axis_mm(visit: Visit) -> float:
    """Return the sum of the long axes of all pieces, mm; RECIST 1.1 (section 4.3.2) adds up a lesion that has split."""
    return sum(lesion.long_axis_mm for lesion in visit)


def mean_hu(visit: Visit) -> float | None:
    """Return the mean HU of all pieces, averaged by volume; None if unknown."""
    return _total(visit, "mean_hu")


def _change(earlier: Visit, later: Visit, name: str) -> float | None:
    """Return the change of a measure; HU are averaged by volume, volumes and masses are added up."""
    values = [_total(visit, name) for visit in (earlier, later)]
    return None if values[0] is None or values[1] is None else values[1] - values[0]


def _total(visit: Sequence[TimedLesion], name: str) -> float | None:
    values = [getattr(lesion, name) for lesion in visit]
    if not values or any(value is None for value in values):
        return None
    if name == "mean_hu":
        weighed = [value * lesion.volume_ml for value, lesion in zip(values, visit, strict=True)]
        return float(sum(weighed)) / volume_ml(tuple(visit))
    return float(sum(values))
