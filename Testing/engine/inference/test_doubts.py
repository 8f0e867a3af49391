"""A CT whose voxels are too large for the model is warned of."""

from dataclasses import replace

import numpy as np
import pytest
from LungTumorSegLib.core.volume import CTVolume
from LungTumorSegLib.inference.doubts import resolution_doubts
from made_results import MANIFEST
from volumes import affine_of

GRID_MM = (3.0, 1.5, 1.5)


@pytest.mark.parametrize(
    ("spacing", "warned"),
    [((3.0, 1.5, 1.5), False), ((1.0, 0.7, 0.7), False), ((3.0, 1.52, 1.52), False), ((5.0, 0.7, 0.7), True),
     ((4.0, 4.2, 4.2), True), ((3.0, 1.5, 2.0), True)],
)  # fmt: skip
def test_a_ct_coarser_than_the_models_grid_is_warned_of(spacing, warned):
    ct = CTVolume(np.zeros((4, 5, 6), np.int16), affine_of(spacing))
    warnings = list(resolution_doubts(ct, replace(MANIFEST, spacing_mm=GRID_MM)))
    assert bool(warnings) is warned
    assert all("The voxels of the CT" in warning and "3 x 1.5 x 1.5 mm" in warning for warning in warnings)
