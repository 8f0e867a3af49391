"""Measures of masks that cover much of a CT: exact, and without a list of all voxels."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from LungTumorSegLib.core.crops import crop_at
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.lesions.location import Sides
from LungTumorSegLib.lesions.measurements import centroid_lps, intensities_of, principal_axes_mm, volume_range_ml
from LungTumorSegLib.lesions.pleura import distance_to_outside_mm
from scipy.spatial.distance import cdist

AFFINE = np.array([[0.0, 0.0, 0.7, -30.0], [0.0, 0.8, 0.0, 12.0], [1.25, 0.0, 0.0, 500.0], [0.0, 0.0, 0.0, 1.0]])


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("seed", range(3))
def test_they_are_those_of_the_list_of_all_voxels(seed, share):
    rng = np.random.default_rng(seed)
    mask = Volume(rng.random((9, 14, 11)) < share, AFFINE)
    points = np.argwhere(mask.array)
    np.testing.assert_allclose(centroid_lps(mask), mask.index_to_lps(points.mean(axis=0)), rtol=1e-12)
    variance = np.linalg.eigvalsh(np.cov((points * mask.spacing).T))
    np.testing.assert_allclose(principal_axes_mm(mask), 4 * np.sqrt(variance)[::-1], rtol=1e-9)


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
    assert peak_bytes(lambda: principal_axes_mm(mask)) < 0.2 * mask.array.size


def test_moments_of_many_values_are_those_of_all_at_once():
    values = np.random.default_rng(0).gamma(2.0, 100.0, 2_500_000)
    found, z = intensities_of(values), (values - values.mean()) / values.std()
    assert found.skewness == pytest.approx((z**3).mean(), rel=1e-9)
    assert found.excess_kurtosis == pytest.approx((z**4).mean() - 3, rel=1e-9)


def test_the_volume_range_of_a_large_lesion_needs_little_memory():
    shape = (160, 96, 96)
    grid = np.diag([1.0, 1.0, 2.0, 1.0])[:, [2, 1, 0, 3]]
    mean, deviation = (Volume(np.full(shape, value, np.float32), grid) for value in (0.6, 0.05))
    lesion = crop_at(np.ones((120, 80, 80), bool), ((20, 8, 8), (140, 88, 88)), mean)
    labels = Volume(np.zeros(shape, np.uint16), grid)
    peak = peak_bytes(lambda: volume_range_ml(lesion, 1, labels, mean, deviation, threshold=0.5))
    assert peak < 13 * mean.array.size


def test_the_side_of_a_large_lesion_outside_of_the_lungs_needs_little_memory():
    shape = (96, 96, 96)
    grid = np.diag([1.0, 1.0, 2.0, 1.0])[:, [2, 1, 0, 3]]
    left, right = np.zeros(shape, bool), np.zeros(shape, bool)
    left[:, :, 84:], right[:, :, :3] = True, True
    middle = crop_at(np.ones((96, 96, 64), bool), ((0, 0, 20), (96, 96, 84)), Volume(left, grid))
    sides = Sides(Volume(left, grid), Volume(right, grid))
    found = []
    assert peak_bytes(lambda: found.append(sides.of(middle))) < 10 * left.size
    assert found == ["Left"]


@pytest.mark.parametrize("spacing", [(3.0, 0.7, 0.7), (1.0, 1.0, 1.0), (0.5, 0.8, 0.9)])
@pytest.mark.parametrize("gap", [0, 1, 3])
def test_the_gap_to_the_pleura_is_that_of_the_nearest_pair_of_voxels(gap, spacing):
    rng = np.random.default_rng(gap)
    affine = np.diag([*spacing[::-1], 1.0])[:, [2, 1, 0, 3]]
    lesion = rng.random((7, 9, 8)) < 0.6
    outside = rng.random((20, 24, 22)) < 0.02
    outside[5 - gap : 12 + gap, 6 - gap : 15 + gap, 7 - gap : 15 + gap] &= False
    mask = crop_at(lesion, ((5, 6, 7), (12, 15, 15)), Volume(outside, affine)).mask
    a, b = np.argwhere(lesion) + np.array([5, 6, 7]), np.argwhere(outside)
    apart = cdist(a * spacing, b * spacing)
    ways = [np.abs(a[i] - b[j]) * spacing for i, j in np.argwhere(np.isclose(apart, apart.min()))]
    faces = [np.linalg.norm(way) - way @ spacing / np.linalg.norm(way) for way in ways]
    found = distance_to_outside_mm(Volume(outside, affine), mask)
    assert min(abs(found - max(0.0, face)) for face in faces) < 1e-9


def test_the_gap_to_the_pleura_of_a_large_lesion_needs_little_memory():
    affine = np.diag([1.0, 1.0, 2.0, 1.0])[:, [2, 1, 0, 3]]
    outside = np.zeros((96, 96, 96), bool)
    outside[0] = True  # not at the lesion: the nearest voxels have to be searched
    lesion = crop_at(np.ones((80, 80, 80), bool), ((8, 8, 8), (88, 88, 88)), Volume(outside, affine)).mask
    assert peak_bytes(lambda: distance_to_outside_mm(Volume(outside, affine), lesion)) < 24 * outside.size
    outside[:, :, 7] = True  # now beside it
    assert peak_bytes(lambda: distance_to_outside_mm(Volume(outside, affine), lesion)) < 3 * outside.size
