"""Mean position and axes of a mask come from counts per line of voxels: exact, and without a list of all voxels."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.lesions.measurements import _principal_axes_mm, centroid_lps, intensities_of

AFFINE = np.array([[0.0, 0.0, 0.7, -30.0], [0.0, 0.8, 0.0, 12.0], [1.25, 0.0, 0.0, 500.0], [0.0, 0.0, 0.0, 1.0]])


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("seed", range(3))
def test_they_are_those_of_the_list_of_all_voxels(seed, share):
    rng = np.random.default_rng(seed)
    mask = Volume(rng.random((9, 14, 11)) < share, AFFINE)
    points = np.argwhere(mask.array)
    np.testing.assert_allclose(centroid_lps(mask), mask.index_to_lps(points.mean(axis=0)), rtol=1e-12)
    variance = np.linalg.eigvalsh(np.cov((points * mask.spacing).T))
    np.testing.assert_allclose(_principal_axes_mm(mask), 4 * np.sqrt(variance)[::-1], rtol=1e-9)


def peak_bytes(call) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_mask_that_covers_nearly_all_voxels_needs_little_memory():
    mask = Volume(np.ones((96, 128, 128), bool), np.diag([1.0, 1.0, 2.0, 1.0])[:, [2, 1, 0, 3]])
    assert peak_bytes(lambda: centroid_lps(mask)) < 0.1 * mask.array.size
    assert peak_bytes(lambda: _principal_axes_mm(mask)) < 0.2 * mask.array.size


def test_moments_of_many_values_are_those_of_all_at_once():
    values = np.random.default_rng(0).gamma(2.0, 100.0, 2_500_000)
    found, z = intensities_of(values), (values - values.mean()) / values.std()
    assert found.skewness == pytest.approx((z**3).mean(), rel=1e-9)
    assert found.excess_kurtosis == pytest.approx((z**4).mean() - 3, rel=1e-9)
