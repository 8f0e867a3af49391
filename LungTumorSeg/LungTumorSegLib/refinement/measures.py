"""Simple measures of a candidate on the working grid, beside which the second network gives its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.boxes import slices_of, widen_box
from ..core.components import CONNECTIVITY
from ..core.volume import Array, Mask, Probability, Volume
from .candidates import CORE, Candidate
from .views import AERATED_HU

BRIGHT_HU = 120.0
"""HU above which a voxel is bright, such as those of vessels with contrast agent; tumors rarely enhance so much."""

SHELL_VOXELS = 3
"""Voxels by which the box of a candidate grows, so that it holds the shell around the candidate."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What the measures need, on the working grid (slice, row, column).

    Attributes:
        hu: HU of the CT, not limited to the isolation mask.
        lungs: Both lungs, bool.
        probability: Mean probability across stacks, 0 to 1.
        deviation: Standard deviation across stacks.
    """

    hu: Volume
    lungs: Mask
    probability: Probability
    deviation: Array

    @property
    def suspected(self) -> Volume:
        """Return the mean probability as a volume."""
        return self.hu.with_array(self.probability)


def measures_of(candidate: Candidate, around: Surroundings) -> dict[str, float]:
    """Measure a candidate.

    Returns:
        By name: ``log_core_ml`` (logarithm of the core's volume in mL), ``confidence`` (mean over the core of
        probability minus standard deviation), ``wide_probability`` (mean probability of the whole region),
        ``aerated_share`` (share of aerated lung in a shell around the core), ``in_lung`` (share of the core inside the
        lungs), ``contrast_hu`` (mean HU of the core minus that of the shell), ``mean_hu`` and ``bright_share`` (share
        of the core above ``BRIGHT_HU``).
    """
    box = widen_box(candidate.region.box, (SHELL_VOXELS,) * 3, around.hu.shape)
    here = slices_of(box)
    probability, deviation, hu = around.probability[here], around.deviation[here], around.hu.array[here]
    lungs = around.lungs[here]
    region = candidate.region.filling(box)
    core = region & (probability > CORE)
    near = ndimage.binary_dilation(core)
    shell = ndimage.binary_dilation(core, structure=CONNECTIVITY, iterations=2) & ~near
    aerated = lungs & (hu < AERATED_HU)
    return {
        "log_core_ml": float(np.log(max(candidate.core_ml, 1e-3))),
        "confidence": float(np.clip(probability[core] - deviation[core], 0, 1).mean()),
        "wide_probability": float(probability[region].mean()),
        "aerated_share": float(aerated[shell].mean()),
        "in_lung": float(lungs[core].mean()),
        "contrast_hu": float(hu[core].mean() - hu[shell].mean()),
        "mean_hu": float(hu[core].mean()),
        "bright_share": float((hu[core] > BRIGHT_HU).mean()),
    }
