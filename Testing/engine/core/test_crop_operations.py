"""Operations on crops of one grid: whether a point lies inside, union, and a rest that does not touch the others."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.core.components import CONNECTIVITY
from LungTumorSegLib.core.crop_operations import apart_from, contains, unite_crops
from LungTumorSegLib.core.crops import trimmed_crop_at
from LungTumorSegLib.core.volume import Grid
from scipy import ndimage
from volumes import affine_of

GRID = Grid((20, 30, 30), affine_of(turn_degrees=(4, -3, 7)))
WHOLE = ((0, 0, 0), GRID.shape)


def ball(center, radius):
    """Return a ball, in voxels."""
    inside = np.linalg.norm(np.moveaxis(np.indices(GRID.shape), 0, -1) - center, axis=-1) <= radius
    return trimmed_crop_at(inside, WHOLE, GRID)


def test_a_crop_contains_its_voxels_and_no_others():
    crop = ball((10, 12, 14), 3)
    mask = crop.filling(WHOLE)
    for index in np.argwhere(ndimage.binary_dilation(mask, structure=CONNECTIVITY)):
        point = GRID.index_to_lps(index + np.array([0.4, -0.4, 0.4]))
        assert contains(crop, tuple(point), GRID) == mask[tuple(index)]


def test_the_union_of_two_crops_has_the_voxels_of_both():
    one, other = ball((5, 5, 5), 3), ball((12, 20, 8), 4)
    both = unite_crops(one, other, GRID)
    np.testing.assert_array_equal(both.filling(WHOLE), one.filling(WHOLE) | other.filling(WHOLE))
    np.testing.assert_allclose(both.mask.origin, GRID.index_to_lps(both.box[0]))
    assert unite_crops(None, other, GRID) is other


@pytest.mark.parametrize("radius", [2, 6, 12])
def test_what_is_apart_from_others_leaves_a_gap_of_one_voxel(radius):
    whole, inner = ball((10, 15, 15), 9), ball((10, 15, 18), radius)
    rest = apart_from(whole, [inner], GRID)
    near = ndimage.binary_dilation(inner.filling(WHOLE), structure=CONNECTIVITY)
    left = np.zeros(GRID.shape, bool) if rest is None else rest.filling(WHOLE)
    np.testing.assert_array_equal(left, whole.filling(WHOLE) & ~near)


def test_nothing_is_left_of_a_crop_apart_from_itself():
    whole = ball((10, 15, 15), 5)
    assert apart_from(whole, [whole], GRID) is None
