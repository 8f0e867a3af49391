"""The coarse grid lies where its voxels lie, and masks find back from it."""

import numpy as np
import pytest
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.isolation.working_grid import block_factors, coarsen, planes, refine, remove
from volumes import affine_of, hu_at, make_ct


def enlarged(mask, volume):
    """Return a coarse mask on the volume's own grid."""
    array = np.zeros(volume.shape, bool)
    for here, plane in planes(mask, volume):
        array[here] = plane
    return array


@pytest.mark.parametrize(
    ("spacing", "factors"),
    [((3.0, 0.977, 0.977), (1, 2, 2)), ((0.6, 0.7, 1.6), (3, 3, 1)), ((1.25, 1.59, 4.2), (2, 2, 1))],
)
def test_coarse_voxels_measure_at_least_1_6_mm(spacing, factors):
    assert block_factors(make_ct(spacing=spacing)) == factors


@pytest.mark.parametrize("turn_degrees", [(0, 0, 0), (14, -9, 25)])
def test_a_linear_image_keeps_its_values_at_every_point(turn_degrees):
    ct = make_ct((6, 9, 12), spacing=(0.8, 0.6, 0.7), turn_degrees=turn_degrees)  # blocks of 2 x 3 x 3
    coarse = coarsen(ct)
    assert coarse.shape == (3, 3, 4)
    points = coarse.index_to_lps(np.moveaxis(np.indices(coarse.shape), 0, -1))
    np.testing.assert_allclose(coarse.array, hu_at(points), atol=1.0)  # both grids are rounded to whole HU


def test_a_last_incomplete_block_repeats_the_border():
    array = np.zeros((3, 4, 5), np.int16)
    array[2] = 90
    array[:, :, 4] = 30
    coarse = coarsen(Volume(array, affine_of(spacing=(1.0, 1.0, 1.0))))
    assert coarse.shape == (2, 2, 3)
    np.testing.assert_array_equal(coarse.array[0], [[0, 0, 30], [0, 0, 30]])
    np.testing.assert_array_equal(coarse.array[1], [[90, 90, 30], [90, 90, 30]])


def test_an_enlarged_mask_covers_its_blocks():
    ct = make_ct((5, 6, 7), spacing=(0.9, 2.0, 0.8))
    mask = np.zeros((3, 6, 4), bool)
    mask[1, 2, 3] = True
    expected = np.zeros((5, 6, 7), bool)
    expected[2:4, 2, 6:7] = True
    np.testing.assert_array_equal(enlarged(mask, ct), expected)


def test_a_refined_border_follows_the_voxels():
    shape, spacing = (8, 40, 44), (2.0, 0.8, 0.8)
    rows, columns = np.indices(shape)[1:]
    inside = (rows - 19) ** 2 + (columns - 23) ** 2 <= 13.4**2
    ct = Volume(np.where(inside, -850, 40).astype(np.int16), affine_of(spacing=spacing))
    coarse = coarsen(ct).array < -405  # half of the block
    refined = refine(coarse, ct, -np.inf, -500)
    assert (enlarged(coarse, ct) != inside).any()
    np.testing.assert_array_equal(refined[1:-1], inside[1:-1])


def test_what_lies_deep_inside_stays_whatever_its_value():
    ct = Volume(np.full((6, 24, 24), -850, np.int16), affine_of(spacing=(2.0, 0.8, 0.8)))
    ct.array[:, 11:13, 11:13] = 60  # a vessel
    assert refine(np.ones((6, 12, 12), bool), ct, -np.inf, -500).all()


def test_a_removed_mask_takes_its_blocks_only():
    ct = make_ct((5, 6, 7), spacing=(0.9, 2.0, 0.8))
    coarse = np.zeros((3, 6, 4), bool)
    coarse[1, 2, 3] = coarse[2, 5, 0] = True
    fine = np.ones((5, 6, 7), bool)
    remove(fine, coarse, ct)
    np.testing.assert_array_equal(fine, ~enlarged(coarse, ct))
