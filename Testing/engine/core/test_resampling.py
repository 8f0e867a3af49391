"""Separable antialiased resampling against closed forms."""

import numpy as np
import pytest
from LungTumorSegLib.core.resampling import resample_separable


@pytest.fixture
def a_ramp():
    """A linear function of the index on an asymmetric grid: linear interpolation must reproduce it exactly."""
    k, i, j = np.meshgrid(np.arange(9), np.arange(12), np.arange(7), indexing="ij")
    return (3.0 * k - 2.0 * i + 0.5 * j).astype(np.float32)


def test_upsampling_a_linear_function_is_exact(a_ramp):
    fine = resample_separable(a_ramp, start=(0.25, 1.5, 0.0), step=(0.5, 0.25, 0.75), size=(14, 20, 8))
    k, i, j = np.meshgrid(0.25 + 0.5 * np.arange(14), 1.5 + 0.25 * np.arange(20), 0.75 * np.arange(8), indexing="ij")
    np.testing.assert_allclose(fine, 3.0 * k - 2.0 * i + 0.5 * j, atol=1e-4)  # single precision


def test_downsampling_a_linear_function_is_exact_away_from_the_edge(a_ramp):
    coarse = resample_separable(a_ramp, start=(2.0, 3.0, 2.0), step=(2.0, 2.0, 2.0), size=(3, 3, 2))
    k, i, j = np.meshgrid(2.0 + 2.0 * np.arange(3), 3.0 + 2.0 * np.arange(3), 2.0 + 2.0 * np.arange(2), indexing="ij")
    np.testing.assert_allclose(coarse, 3.0 * k - 2.0 * i + 0.5 * j, atol=1e-4)


def test_downsampling_averages_an_alternating_pattern_away():
    stripes = np.zeros((3, 4, 40), np.int16)
    stripes[..., ::2] = 100
    coarse = resample_separable(stripes, start=(0, 0, 2), step=(1, 1, 2), size=(3, 4, 18))
    np.testing.assert_allclose(coarse, 50.0, atol=1e-4)  # plain linear sampling would read 100 everywhere


def test_a_volume_continues_with_the_value_of_the_outside():
    volume = np.full((4, 5, 6), 7, np.int16)
    padded = resample_separable(volume, start=(-3.0, -2.0, -2.0), step=(1, 1, 1), size=(10, 9, 10), outside=-1024)
    np.testing.assert_array_equal(padded, np.pad(volume, [(3, 3), (2, 2), (2, 2)], constant_values=-1024))
    shifted = resample_separable(np.ones((4, 5, 6)), start=(-1.0, 0, 0), step=(1, 1, 1), size=(6, 5, 6))
    np.testing.assert_array_equal(shifted[:, 0, 0], [0, 1, 1, 1, 1, 0])


def test_identity_returns_the_voxels(a_ramp):
    np.testing.assert_array_equal(
        resample_separable(a_ramp, start=(0, 0, 0), step=(1, 1, 1), size=a_ramp.shape), a_ramp
    )


def test_a_part_that_lies_outside_the_input_is_zero():
    beside = resample_separable(
        np.ones((4, 5, 6), np.float32), start=(40.0, 0.0, 0.0), step=(1.0, 1.0, 1.0), size=(3, 5, 6)
    )
    assert beside.shape == (3, 5, 6)
    assert not beside.any()
