"""Peak memory counts what was taken and given back."""

import numpy as np
import pytest
from LungTumorSegLib.core.peak_memory import STATUS, forget_peak, peak_bytes

MANY = 200 << 20


@pytest.mark.skipif(not STATUS.is_file(), reason="only Linux forgets a peak")
def test_the_peak_remains_until_it_is_forgotten():
    assert forget_peak()
    before = peak_bytes()
    taken = np.ones(MANY, np.uint8)
    del taken
    assert 0.8 * MANY < peak_bytes() - before < 1.5 * MANY
    assert forget_peak()
    assert peak_bytes() < before + 0.5 * MANY
