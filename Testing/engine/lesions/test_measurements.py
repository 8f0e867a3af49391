"""Shape, HU statistics, solid part, confidence."""

import numpy as np
import pytest
from LungTumorSegLib.ct import Volume
from LungTumorSegLib.lesions.components import crop_of
from LungTumorSegLib.lesions.measurements import confidence
from volumes import affine_of


def test_confidence_is_the_probability_less_the_disagreement():
    mask = np.zeros((3, 4, 5), dtype=bool)
    mask[1, 1:3, 2:4] = True
    lesion = crop_of(Volume(mask, affine_of()))
    probability, disagreement = np.full((2, *mask.shape), 0.9, dtype=np.float32)
    disagreement[:] = 0.1
    probability[1, 1, 2], disagreement[1, 1, 2] = 0.3, 0.45  # what would fall below 0 counts 0
    volumes = [Volume(a, affine_of()) for a in (probability, disagreement)]
    assert confidence(lesion, *volumes) == pytest.approx(3 * 0.8 / 4, abs=1e-6)
    assert confidence(lesion, volumes[0], None) == pytest.approx((3 * 0.9 + 0.3) / 4, abs=1e-6)
