"""How much a lesion has changed: volume, doubling time, and whether that exceeds the error of the measurement.

References:
    Repeatability: volumes of one nodule in two CTs of one day differ by -21 % to +24 % (H. A. Gietema et al.,
    Radiology 245:888, 2007); guidelines therefore count 25 % as growth (M. E. J. Callister et al., Thorax 70:ii1, 2015,
    doi:10.1136/thoraxjnl-2015-207168). Here a change has to exceed 25 %.
    Doubling time: V. P. Collins et al., Am J Roentgenol 76:988, 1956; M. Schwartz, Cancer 14:1272, 1961.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .lesion import TimedLesion

SizeStatus = Literal["stable", "grown", "shrunk"]

REPEATABILITY_PERCENT = 25.0
"""Change of the volume, percent, up to which a lesion is stable within the error of the measurement."""

SIGMA_95, SIGMA_90 = 1.96, 1.645
"""Half widths of the central 95 % and 90 % of a normal distribution, standard deviations."""

REPEATABILITY_SIGMA = math.log1p(REPEATABILITY_PERCENT / 100) / SIGMA_95
"""Standard deviation of the logarithm of the ratio of two volumes of an unchanged lesion."""


@dataclass(frozen=True)
class DoublingTime:
    """The doubling time of a volume, days; negative values are halving times.

    Attributes:
        days: The doubling time.
        range_days: Its 5th and 95th percentile; the slower end is None if growth is not certain.
    """

    days: float
    range_days: tuple[float | None, float | None]


def days_in_words(days: float) -> str:
    """Return a doubling or halving time without its sign, in days; below 10 days with a tenth of a day."""
    return f"{abs(days):.1f}" if abs(days) < 10 else f"{abs(days):.0f}"


def status_of(earlier_ml: float, later_ml: float) -> SizeStatus:
    """Return "grown", "shrunk" or "stable" by the repeatability limit."""
    percent = change_percent(earlier_ml, later_ml)
    if abs(percent) <= REPEATABILITY_PERCENT:
        return "stable"
    return "grown" if percent > 0 else "shrunk"


def change_percent(earlier: float, later: float) -> float:
    """Return the change from ``earlier``, above 0, to ``later`` in percent of ``earlier``."""
    return 100 * (later / earlier - 1)


def doubling_time(
    earlier_ml: float, later_ml: float, days: float, sigma: float = REPEATABILITY_SIGMA
) -> DoublingTime | None:
    """Return the doubling time of an exponential change.

    Args:
        earlier_ml: The earlier volume, above 0.
        later_ml: The later volume, above 0.
        days: Time between the two, above 0.
        sigma: Standard deviation of the logarithm of their ratio.

    Returns:
        The doubling time with its range from the 5th to the 95th percentile, fastest change first; None if the volumes
        are equal.
    """
    rate = math.log(later_ml / earlier_ml) / days
    if not rate:
        return None
    half = SIGMA_90 * sigma / days
    fast, slow = abs(rate) + half, abs(rate) - half
    sign = math.copysign(1.0, rate)
    limits = sign * math.log(2) / fast, sign * math.log(2) / slow if slow > 0 else None
    return DoublingTime(math.log(2) / rate, limits)


def ratio_sigma(earlier: Sequence[TimedLesion], later: Sequence[TimedLesion]) -> float:
    """Return the standard deviation of the logarithm of the ratio of two total volumes.

    It is that of the volumes' own ranges, but at least that of the repeatability.
    """
    spread = [_log_sigma(lesions) for lesions in (earlier, later)]
    if any(each is None for each in spread):
        return REPEATABILITY_SIGMA
    return max(REPEATABILITY_SIGMA, math.hypot(*(each or 0.0 for each in spread)))


def _log_sigma(lesions: Sequence[TimedLesion]) -> float | None:
    ranges = [lesion.volume_range_ml for lesion in lesions]
    low = sum(each[0] for each in ranges if each)
    high = sum(each[1] for each in ranges if each)
    if not all(ranges) or low <= 0 or high < low:
        return None
    return math.log(high / low) / (2 * SIGMA_90)
