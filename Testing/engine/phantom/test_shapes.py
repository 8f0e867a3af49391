"""Signed distances against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.phantom.shapes import (
    FAR_MM,
    as_distance,
    capsule,
    curve,
    ellipsoid,
    merge_tube,
    profile,
    smooth_max,
    smooth_min,
    smooth_noise,
    tube,
    turned_ellipsoid,
)  # fmt: skip


@pytest.fixture
def axes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y, z of a grid with unequal axes and spacings, mm."""
    x, y, z = np.arange(-30, 31, 1.5), np.arange(-24, 30, 2.0), np.arange(-20, 26, 2.5)
    return tuple(a.astype(np.float32).reshape(s) for a, s in ((x, (1, 1, -1)), (y, (1, -1, 1)), (z, (-1, 1, 1))))


def test_a_ball_has_its_exact_distance(axes):
    x, y, z = axes
    expected = np.sqrt((x - 3) ** 2 + (y + 2) ** 2 + (z - 5) ** 2) - 9
    away = expected > -6  # near the very center no direction is nearest, and the root is kept off 0
    assert ellipsoid((x, y, z), (3, -2, 5), (9, 9, 9))[away] == pytest.approx(expected[away], abs=0.01)


def test_an_ellipsoid_is_zero_at_its_poles_and_steep_there():
    for axis, radius in enumerate((12.0, 7.0, 20.0)):
        for offset in (-0.5, 0.0, 0.5):
            point = [np.zeros(1), np.zeros(1), np.zeros(1)]
            point[axis] = point[axis] + radius + offset
            assert ellipsoid(point, (0, 0, 0), (12, 7, 20))[0] == pytest.approx(offset, abs=0.03)


def test_a_turned_ellipsoid_follows_its_axes():
    axes = np.array([[0.6, 0.8, 0.0], [-0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    tip = np.array([1.0, 2.0, 3.0]) + 10 * axes[0]
    value = turned_ellipsoid(tuple(np.array([c]) for c in tip), (1.0, 2.0, 3.0), (10, 4, 5), axes)
    assert value[0] == pytest.approx(0, abs=1e-3)


def test_a_capsule_tapers_from_end_to_end(axes):
    x, y, z = axes
    distance = capsule((x, y, z), np.array([0, 0, -10.0]), np.array([0, 0, 10.0]), 6.0, 2.0)
    along = np.clip((z + 10) / 20, 0, 1)
    expected = np.sqrt(x**2 + y**2 + (z - (20 * along - 10)) ** 2) - (6 - 4 * along)
    assert distance == pytest.approx(expected, abs=1e-3)


def test_a_tube_is_the_nearest_of_its_capsules_up_to_the_cut(axes):
    x, y, z = axes
    points, radii = [(-20, 0, 0), (0, 5, 5), (15, -10, 12)], [4, 3, 1]
    parts = [
        capsule((x, y, z), np.array(points[i], float), np.array(points[i + 1], float), radii[i], radii[i + 1])
        for i in range(2)
    ]
    near = np.minimum(*parts)
    assert tube((x, y, z), points, radii)[near < FAR_MM] == pytest.approx(near[near < FAR_MM], abs=1e-4)
    full = np.broadcast_arrays(x, y, z)
    assert tube(full, points, radii) == pytest.approx(tube((x, y, z), points, radii), abs=1e-4)


def test_merging_a_tube_leaves_far_voxels_alone(axes):
    x, y, z = axes
    field = np.full(np.broadcast_shapes(x.shape, y.shape, z.shape), 99.0, np.float32)
    merge_tube(field, (x, y, z), [(0, 0, 0), (5, 0, 0)], 3.0, 4.0, farthest_mm=6.0)
    far = np.sqrt(x**2 + y**2 + z**2) > 30
    assert (field[far] == 99).all()
    assert field.min() < 0


def test_smooth_unions_differ_only_near_the_seam():
    a, b = np.array([0.0, 5.0, -3.0]), np.array([10.0, 5.0, 9.0])
    assert smooth_min(a, b, 4.0) == pytest.approx([0, 4, -3])  # equal values sink by a quarter of the blend
    assert smooth_max(a, b, 4.0) == pytest.approx([10, 6, 9])


def test_a_curve_passes_through_its_points():
    points = np.array([[0, 0, 0], [10, 5, 0], [12, 9, 8], [0, 20, 9.0]])
    assert curve(points, 31)[::10] == pytest.approx(points, abs=1e-6)


def test_a_profile_is_constant_beyond_its_ends_and_near_its_table():
    table = ((0, 10), (50, 20), (100, 10))
    values = profile(np.array([-30.0, 0, 25, 100, 400]), table)
    assert values == pytest.approx([10, 10, 15, 10, 10], abs=0.5)


def test_a_level_becomes_a_distance():
    x = np.arange(-40, 41, 4.0).reshape(1, 1, -1) + np.zeros((5, 6, 1))
    assert as_distance(3 * (x - 7), 4.0) == pytest.approx(x - 7, abs=1e-4)


def test_smooth_noise_has_unit_deviation_and_is_smooth():
    noise = smooth_noise(np.random.default_rng(0), (30, 40, 50), 3.0)
    assert noise.std() == pytest.approx(1, abs=1e-3)
    assert np.diff(noise, axis=2).std() < 0.4  # for white noise 1.41
