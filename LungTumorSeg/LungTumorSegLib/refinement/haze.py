"""Haze: lung that is denser than aerated lung over a large part, as in pneumonia, and what lies inside it.

The first network takes such a part for one huge candidate. It is no tumor, but a tumor can lie inside, and stands out
only by its density.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from scipy import ndimage

from ..core.components import CONNECTIVITY
from ..core.crops import Crop
from ..core.volume import Mask
from .candidates import Candidate, candidate_at, depth_mm
from .measures import Surroundings

HAZE_MM = 120.0
"""Extent from which a hazy candidate is not taken for a tumor.

Lung that is only hazy over such a length is far more often pneumonia or gravity-dependent density than tumor, and the
fine view cannot hold it. Part-solid and cavitary masses can be hazy on average too, but are smaller.
"""

HAZE_HU = -250.0
"""Mean HU below which a candidate is hazy.

Beside a large haze, smaller hazy patches belong to the same disease and are not taken for tumors either. In other
chests they keep their probability.
"""

LEVELS_HU = (-250.0, -150.0, -50.0)
"""HU from which a part of a haze is dense. A low level keeps a part-solid lesion whole; only a high one separates a
solid lesion from dense haze around it."""

SMOOTHING_MM = 2.0
"""Standard deviation of the Gaussian filter before the HU are compared with the levels, mm."""

HALF_WIDTH_MM = 3.0
"""A dense part holds a ball of this radius, which most vessels do not, mm."""

MOST_PARTS = 10
"""Number of dense parts per haze and level, the largest ones, that are looked at."""

LEAST_LOGIT, LEAST_TUMOR = 4.0, 0.8
"""Logit of the second network, and confidence, from which a dense part of a haze is a lesion.

In five phantoms, lesions had logits of 4.2 to 7.2 and confidences of 0.84 to 0.96. Consolidation had at most one of
both: logits up to 3.7 with confidences up to 0.88, or 5.7 with 0.69.
"""


def is_hazy(measures: Mapping[str, float]) -> bool:
    """Return whether a candidate with these measures (see ``measures_of``) is hazy."""
    return measures["mean_hu"] < HAZE_HU


def is_large_haze(candidate: Candidate, measures: Mapping[str, float]) -> bool:
    """Return whether a candidate is haze over such a length that it is no tumor."""
    return candidate.extent_mm > HAZE_MM and is_hazy(measures)


def dense_parts(haze: Candidate, around: Surroundings, *, min_ml: float) -> Iterator[Candidate]:
    """Yield the dense parts of a haze as candidates of their own.

    The parts of a higher level lie within those of the lower ones.

    Args:
        haze: The haze.
        around: What surrounds it.
        min_ml: Smallest volume of the core of a candidate, mL.
    """
    hu = around.hu.array[haze.region.slices]
    smooth = ndimage.gaussian_filter(hu, [SMOOTHING_MM / s for s in around.hu.spacing])
    for level in LEVELS_HU:
        dense = haze.region.mask.array & (smooth > level)
        labels, count = ndimage.label(_opened(dense, around.hu.spacing), structure=CONNECTIVITY)
        sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        for number in (np.argsort(-sizes, kind="stable") + 1)[:MOST_PARTS].tolist():
            region = Crop(haze.region.mask.with_array(labels == number), haze.region.box)
            part = candidate_at(region, around.suspected, min_ml=min_ml)
            if part is not None:
                yield part


def _opened(mask: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Return what is left of a mask (slice, row, column) where a ball of ``HALF_WIDTH_MM`` fits in."""
    deep = depth_mm(mask, spacing_mm) > HALF_WIDTH_MM
    if not deep.any():
        return deep
    return np.asarray(mask & (ndimage.distance_transform_edt(~deep, sampling=spacing_mm) <= HALF_WIDTH_MM))
