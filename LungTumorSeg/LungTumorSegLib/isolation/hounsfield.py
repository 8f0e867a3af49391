"""Reasons to doubt that the values of a CT are HU, each as a sentence for the user.

Readers refuse values that cannot be a chest. Values that were scaled or shifted still look like one, and the lungs,
lesions and densities found in them are wrong. They are recognized where they are interpreted, by the two classes of
every chest: air with lung, and tissue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.volume import AIR_HU, HU, Array, Volume

HIGHEST_HU = 3071
"""HU of the last bin of the histogram, which also counts higher values; the first bin is ``AIR_HU``."""

MAX_VOXELS = 4_000_000
"""Number of voxels, spread evenly, whose values are counted at most."""

MIN_IMAGE_ML = 1000.0
"""Volume below which an image says nothing, mL; a crop around a nodule may lack tissue, or lung, or both."""

AIR_OR_PADDING_HU = -1000
"""Highest value of a lowest value that is padding, or air that was cut; it says nothing about the scale."""

DARK_SHARE, MAX_DARK_HU = 0.1, -740
"""Share of air with lung that is darkest, padding left out, and highest HU up to which it reaches.

It reaches to -1015 to -993 HU in the CTs used for development, and to -717 HU or more if they are multiplied by 0.7.
"""

TISSUE_HU = (-150, 150)
"""Range of the median of tissue; it is -52 to 53 HU in the CTs used for development."""

MIN_TISSUE_SHARE = 0.1
"""Smallest share of tissue whose median means something; whole chests have 0.23 or more."""

CUT_SHARE = 0.8
"""Share of air with lung at one value above which lower values were cut; it is 0.57 where only air was cut."""

SOFT_HU, BODY_HU, LEAST_SOFT_SHARE = (-150, 120), (-400, 400), 0.6
"""HU of fat, muscle and blood, HU that contain them if values were bent, and smallest share of the first in the second.

The share is 0.78 or more in the CTs used for development.
"""

WATER_HU, FAT_AND_MUSCLE_HU, WATER_SHARES = (-20, 20), (-150, 150), (0.07, 0.7)
"""HU of water, HU of fat and muscle on its two sides, and range of the share of the first in the second.

The share is 0.10 to 0.20 in the CTs used for development. After a gamma correction with an exponent of 0.7 or less, it
is at most 0.06, and the share of soft tissue at most 0.53. With an exponent of 2, it is 0.79 or more.
"""

LUNG_RANGE_HU, RIM_RANGE_HU, LUNG_PER_RIM = (-950, -650), (-649, -350), 2.0
"""HU of lung, HU of its blurred rim, and smallest ratio of their voxels.

It is 3.3 or more in the CTs used for development, and at most 1.3 if they are multiplied by 2 and air is cut at -1024.
"""

CLIPPED_HU = -950
"""Lowest HU of a CT above which its values were clipped; room air averages -1000 HU."""

MAX_AIR_HU, AIR_SHARE = -900, 0.005
"""HU above which the darkest voxels besides padding are no air, and their share of air with lung.

They reach to -1023 to -996 HU in the CTs used for development, and to -764 HU or more if HU were bent to tanh(HU/1000).
"""

TRUE_AIR_HU = range(-1010, -989)
"""HU of air: a lowest value in this range is what a masked or synthetic CT has outside of the body, and no padding."""

CLIPPED_SHARE, UNCUT_SHARE = 0.6, 0.05
"""Shares of air with lung at the lowest value from which values were clipped, and up to which they were not.

The share is 0.66 or more in the CTs used for development if they are clipped at -900. If they are shifted by 100 or
200 or multiplied by 0.8, it is that of the original: 0 to 0.34, the higher ones where a scanner cut air at -1024.
"""


def value_doubts(ct: Volume) -> list[str]:
    """Return why the values of a CT are doubtful, as at most one warning for the user.

    Recognized are scales of about 0.7 or less and 2 or more, offsets of about 300 HU or more, gamma corrections with
    exponents of about 0.7 or less and 2 or more, and clipped air.

    Args:
        ct: The CT, supposedly in HU.
    """
    if ct.array.size * ct.voxel_volume_ml < MIN_IMAGE_ML:
        return []
    values = _Values.of(ct.array)
    if values.tissue_share < MIN_TISSUE_SHARE:
        return []
    darkest = values.lowest if values.lowest > CLIPPED_HU else values.air
    is_too_dense = darkest > CLIPPED_HU and (values.lowest > CLIPPED_HU or darkest > MAX_AIR_HU)
    unlike_hu = _unlike_hu(values) or ("" if is_too_dense else _bent(values))
    if unlike_hu:
        return [
            f"The values of this CT do not look like HU ({unlike_hu}), so lungs, lesions and densities are likely "
            "wrong; export the CT again in Hounsfield units."
        ]
    if not is_too_dense:
        return []
    return [
        f"The darkest voxels of this CT have {darkest} HU, although air has -1000 HU, because {_why(values)}, so "
        "LungTumorSeg may confuse lung, gas and the air around the patient; use the original CT."
    ]


def _why(values: _Values) -> str:
    """Return why no voxel is as dark as air; a clipped image has its lowest value in all of air, a shifted one not."""
    if values.lowest > CLIPPED_HU and values.cut_share >= CLIPPED_SHARE:
        return "lower values were clipped"
    shifted = "all values were shifted or scaled"
    is_uncut = values.cut_share <= UNCUT_SHARE or values.lowest <= CLIPPED_HU
    return shifted if is_uncut else f"{shifted}, or lower ones were clipped"


def _unlike_hu(values: _Values) -> str:
    """Return what shows that values were scaled or shifted, in words; "" if nothing does."""
    is_cut = values.cut_share >= CUT_SHARE
    is_clipped = is_cut and values.lowest > CLIPPED_HU
    if is_cut and not is_clipped and values.between(*LUNG_RANGE_HU) <= LUNG_PER_RIM * values.between(*RIM_RANGE_HU):
        return f"air and lungs have the same value, {values.lowest}"
    if (is_clipped or values.darkest <= MAX_DARK_HU) and TISSUE_HU[0] <= values.tissue <= TISSUE_HU[1]:
        return ""
    return (
        f"air and lungs lie near {values.dark} and tissue near {values.tissue}, instead of about -1000 to -800 and "
        "-100 to 50"
    )


def _bent(values: _Values) -> str:
    """Return what shows that fat and muscle were moved apart or together, as by a gamma correction; "" if nothing."""
    water = values.between(*WATER_HU) / max(values.between(*FAT_AND_MUSCLE_HU), 1)
    soft = values.between(*SOFT_HU) / max(values.between(*BODY_HU), 1)
    if water > WATER_SHARES[1]:
        return f"{water:.0%} of soft tissue lies within {WATER_HU[1]} of 0, although fat has -100 HU and muscle 50 HU"
    if water < WATER_SHARES[0] and soft < LEAST_SOFT_SHARE:
        return f"only {soft:.0%} of soft tissue lies between {SOFT_HU[0]} and {SOFT_HU[1]}"
    return ""


@dataclass(frozen=True, eq=False)
class _Values:
    """What the histogram of a chest shows.

    Attributes:
        counts: Number of voxels per whole HU from ``AIR_HU`` to ``HIGHEST_HU``.
        lowest: The lowest HU.
        darkest: HU up to which the darkest ``DARK_SHARE`` of air with lung reaches; padding is left out.
        dark: Median of air with lung, HU.
        tissue: Median of tissue, HU.
        tissue_share: Share of tissue among all voxels.
        cut_share: Share of the lowest HU among air with lung.
        air: HU up to which the darkest ``AIR_SHARE`` of air with lung reaches; the lowest HU is left out if it is
            padding or was cut, but not if it is that of air.
    """

    counts: Array
    lowest: int
    darkest: int
    dark: int
    tissue: int
    tissue_share: float
    cut_share: float
    air: int

    @classmethod
    def of(cls, array: HU) -> _Values:
        counts = _counts(array)
        lowest = int(np.flatnonzero(counts)[0])
        start = max(lowest, _threshold(counts)) + 1  # a single value has no threshold
        dark, tissue = counts[:start], counts[start:]
        inner = dark.copy()
        inner[: AIR_OR_PADDING_HU + 1 - AIR_HU][lowest : lowest + 1] = 0
        cut_share = float(counts[lowest] / max(dark.sum(), 1))
        above = dark.copy()
        is_padding = cut_share > UNCUT_SHARE and lowest + AIR_HU not in TRUE_AIR_HU
        above[lowest] = 0 if is_padding and above[lowest + 1 :].any() else above[lowest]
        return cls(
            counts,
            lowest + AIR_HU,
            _quantile(inner if inner.any() else dark, DARK_SHARE) + AIR_HU,
            _quantile(dark) + AIR_HU,
            _quantile(tissue) + start + AIR_HU,
            float(tissue.sum() / counts.sum()),
            cut_share,
            _quantile(above, AIR_SHARE) + AIR_HU,
        )

    def between(self, low: int, high: int) -> int:
        """Return the number of voxels from ``low`` to ``high`` HU, both included."""
        return int(self.counts[low - AIR_HU : high + 1 - AIR_HU].sum())


def _counts(array: HU) -> Array:
    """Count the values of evenly spread voxels per whole HU."""
    step = int(np.ceil(np.cbrt(array.size / MAX_VOXELS)))
    bins = np.rint(np.clip(array[::step, ::step, ::step], AIR_HU, HIGHEST_HU)).astype(np.int64) - AIR_HU
    return np.bincount(bins.ravel(), minlength=HIGHEST_HU + 1 - AIR_HU)


def _threshold(counts: Array) -> int:
    """Return the last bin of the lower of two classes.

    References:
        N. Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9, 62 (1979), doi:10.1109/TSMC.1979.4310076.
    """
    bins = np.arange(len(counts))
    share = np.cumsum(counts) / counts.sum()
    mean = np.cumsum(counts * bins) / counts.sum()
    spread = np.where((share > 0) & (share < 1), share * (1 - share), np.inf)
    return int(np.argmax((mean[-1] * share - mean) ** 2 / spread))


def _quantile(counts: Array, share: float = 0.5) -> int:
    return int(np.searchsorted(np.cumsum(counts), counts.sum() * share))
