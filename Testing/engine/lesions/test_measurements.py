"""Shape, HU statistics, solid part, confidence."""

from dataclasses import asdict

import numpy as np
import pytest
from LungTumorSegLib.core.crops import crop_of
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.lesions.components import lesion_crops
from LungTumorSegLib.lesions.measurements import confidence, intensities_of, shape_of, solid_part, volume_range_ml
from scipy import ndimage
from volumes import ORIENTATIONS, affine_of


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


def an_ellipsoid(a, b, c, spacing=(0.8, 0.7, 0.6)) -> Volume:
    count = [2 * int(r / s + 2) + 1 for r, s in zip((c, b, a), spacing, strict=True)]
    z, y, x = np.meshgrid(*[(np.arange(n) - n // 2) * s for n, s in zip(count, spacing, strict=True)], indexing="ij")
    return Volume((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2 <= 1, affine_of(spacing, (14, -9, 25)))


def test_an_ellipsoid_has_its_volume_diameter_and_axes():
    shape = shape_of(an_ellipsoid(15, 10, 6))
    assert shape.mesh_volume_ml == pytest.approx(4 / 3 * np.pi * 15 * 10 * 6 / 1000, rel=0.01)
    assert shape.diameter_3d_mm == pytest.approx(30, abs=0.8)
    # the variance along the axis r of a solid ellipsoid is r^2 / 5, and so 4 standard deviations are 1.79 r
    axes = np.array([shape.major_axis_mm, shape.minor_axis_mm, shape.least_axis_mm])
    np.testing.assert_allclose(axes, 4 * np.array([15, 10, 6]) / np.sqrt(5), rtol=0.02)
    assert shape.elongation == pytest.approx(10 / 15, rel=0.02)
    assert shape.flatness == pytest.approx(6 / 15, rel=0.02)


def test_a_ball_is_rounder_than_an_ellipsoid_and_a_rod():
    ball, ellipsoid, rod = (
        shape_of(an_ellipsoid(*axes)).sphericity for axes in ((10, 10, 10), (15, 10, 6), (25, 3, 3))
    )
    assert 1 > ball > ellipsoid > rod
    assert ball > 0.9  # 1 but for the steps of the voxels


@pytest.mark.parametrize("array", [np.ones((1, 1, 1)), np.ones((1, 4, 5)), np.ones((1, 1, 6))])
def test_the_smallest_lesions_have_numbers(array):
    shape = shape_of(Volume(array.astype(bool), affine_of()))
    values = [
        shape.mesh_volume_ml,
        shape.surface_mm2,
        shape.sphericity,
        shape.diameter_3d_mm,
        shape.elongation,
        shape.flatness,
    ]
    assert np.isfinite(values).all()
    assert shape.least_axis_mm == 0
    hu = intensities_of(np.full(array.size, -37.0))
    assert (hu.mean_hu, hu.sd_hu, hu.p5_hu, hu.skewness, hu.excess_kurtosis) == (-37, 0, -37, 0, 0)


@pytest.mark.parametrize("order", ORIENTATIONS[1::5], ids=str)
def test_turning_flipping_and_moving_a_lesion_changes_no_shape(order):
    blob = ndimage.gaussian_filter(np.random.default_rng(5).random((14, 15, 16)), 1.2) > 0.51
    blob = np.pad(blob, 2)
    expected = shape_of(Volume(blob, affine_of((1, 1, 1))))
    turned = order.apply(Volume(blob, affine_of((1, 1, 1)))).array
    found = shape_of(
        Volume(turned, affine_of((1, 1, 1), origin=(310.5, -77.2, 95.1)))
    )  # the lesion turned, not its axes
    for name, value in asdict(expected).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-6)


def test_statistics_of_a_ramp():
    hu = intensities_of(np.arange(101, dtype=np.int16))
    assert (hu.mean_hu, hu.p5_hu, hu.p25_hu, hu.median_hu, hu.p95_hu, hu.max_hu) == (50, 5, 25, 50, 95, 100)
    assert hu.sd_hu == pytest.approx(np.sqrt((101**2 - 1) / 12))
    assert hu.excess_kurtosis == pytest.approx(-1.2, abs=1e-3)


def a_nodule(core_mm, core_hu, shell_hu, radius_mm=9.0):
    """A ball of ``shell_hu`` about a ball of ``core_hu`` in lung of -850 HU, blurred as by a scanner."""
    spacing = (1.0, 0.7, 0.7)
    count = [2 * int(radius_mm / s + 4) + 1 for s in spacing]
    z, y, x = np.meshgrid(*[(np.arange(n) - n // 2) * s for n, s in zip(count, spacing, strict=True)], indexing="ij")
    r = np.sqrt(x**2 + y**2 + z**2)
    hu = np.where(r <= core_mm, core_hu, np.where(r <= radius_mm, shell_hu, -850.0))
    hu = ndimage.gaussian_filter(hu, [0.6 / s for s in spacing])
    return crop_of(Volume(r <= radius_mm, affine_of(spacing))), Volume(hu, affine_of(spacing))


@pytest.mark.parametrize(("core_mm", "core_hu", "shell_hu", "density"), [
    (0, 0, 40, "solid"), (0, 0, -600, "ground glass"), (4, 30, -600, "part-solid"), (6, 30, -600, "part-solid"),
    (5, -1000, 40, "solid"),
])  # fmt: skip
def test_the_density_of_a_nodule(core_mm, core_hu, shell_hu, density):
    assert solid_part(*a_nodule(core_mm, core_hu, shell_hu)).density == density


@pytest.mark.parametrize("radius_mm", [1.5, 2.0, 2.5, 3.0])
@pytest.mark.parametrize(("hu", "density"), [(40, "solid"), (-600, "ground glass")])
def test_a_small_nodule_is_one_or_the_other_in_spite_of_its_mixed_rim(radius_mm, hu, density):
    assert solid_part(*a_nodule(0, 0, hu, radius_mm)).density == density


def test_the_solid_part_has_the_volume_of_the_core():
    part = solid_part(*a_nodule(6, 30, -600))
    assert part.volume_ml == pytest.approx(4 / 3 * np.pi * 6**3 / 1000, rel=0.1)


def test_the_volume_range_cuts_the_probability_lowered_and_raised():
    spacing = (1.0, 1.0, 1.0)
    z, y, x = np.meshgrid(*[np.arange(41) - 20.0] * 3, indexing="ij")
    r = np.sqrt(x**2 + y**2 + z**2)
    probability = Volume(np.clip(0.5 + (10 - r) * 0.05, 0, 1), affine_of(spacing))  # 0.5 at 10 mm, 0.05 a mm
    disagreement = probability.with_array(np.full(r.shape, 0.1 / 1.645))  # 0.1 are 2 mm
    labels = probability.with_array((r <= 10).astype(np.uint16))
    labels.array[:, :, 31:] = 2  # a neighbor takes what lies 11 mm to the left
    (lesion, _) = lesion_crops(labels)
    low, high = volume_range_ml(lesion, 1, labels, probability, disagreement, threshold=0.5)
    assert low == pytest.approx(4 / 3 * np.pi * 8**3 / 1000, rel=0.03)
    assert high == pytest.approx(np.count_nonzero((r <= 12) & (x <= 10)) / 1000, rel=0.01)


@pytest.mark.parametrize("seen_once", [slice(None), slice(20, 22), slice(12, 13)])
def test_a_lesion_with_slices_that_one_stack_alone_has_seen_has_no_volume_range(seen_once):
    z, y, x = np.meshgrid(*[np.arange(41) - 20.0] * 3, indexing="ij")
    r = np.sqrt(x**2 + y**2 + z**2)
    probability = Volume(np.clip(0.5 + (10 - r) * 0.05, 0, 1), affine_of((1.0, 1.0, 1.0)))
    scatter = np.full(r.shape, 0.05)
    scatter[seen_once] = 0  # a single answer does not scatter
    labels = probability.with_array((r <= 10).astype(np.uint16))
    (lesion,) = lesion_crops(labels)
    assert volume_range_ml(lesion, 1, labels, probability, probability.with_array(scatter), threshold=0.5) is None
