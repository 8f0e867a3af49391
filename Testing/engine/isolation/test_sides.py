"""Left and right are judged about the spine, also where the lungs touch or one is missing."""

import numpy as np
import pytest
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.isolation.sides import is_left, separate_sides
from LungTumorSegLib.isolation.spine import SpineAxis
from simple_chest import AFFINE, SHAPE, SPACING, X, Y, Z, ellipsoid


def axis_at(x_mm) -> SpineAxis:
    """A straight axis at ``x_mm``, one point a slice."""
    heights = AFFINE[2, 3] + SPACING[0] * np.arange(SHAPE[0])
    return SpineAxis(np.stack([np.full(SHAPE[0], x_mm), np.full(SHAPE[0], 60.0), heights], axis=1))


def sides_of(mask, x_mm=0.0):
    left, right = separate_sides(Volume(np.array(mask), AFFINE), axis_at(x_mm))
    return left.array, right.array


def test_two_lungs_apart_go_to_their_sides(a_chest):
    left, right = sides_of(a_chest.lungs)
    np.testing.assert_array_equal(left, a_chest.left)
    np.testing.assert_array_equal(right, a_chest.right)


def test_left_is_where_x_is_larger(a_chest):
    beyond = is_left(axis_at(20.0), a_chest.volume("lungs"))
    np.testing.assert_array_equal(beyond, np.broadcast_to(X > 20.0, SHAPE))


def test_a_lung_that_bulges_over_the_axis_stays_one(a_chest):
    left, right = sides_of(a_chest.lungs, x_mm=-21.0)  # 5 mm into the right lung's border at -16 mm
    np.testing.assert_array_equal(right, a_chest.right)
    np.testing.assert_array_equal(left, a_chest.left)


def test_touching_lungs_part_at_the_bridge_not_at_the_axis(a_chest):
    bridge = (np.abs(X - 3) < 22) & (np.abs(Y + 5) < 5) & (np.abs(Z - 58) < 9)
    left, right = sides_of(a_chest.lungs | bridge, x_mm=-21.0)
    assert (left | right).sum() == (a_chest.lungs | bridge).sum()
    assert not (left & right).any()
    assert left[a_chest.left].all()
    assert right[a_chest.right].all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_lone_lung_goes_to_its_side(a_chest, side):
    left, right = sides_of(getattr(a_chest, side))
    assert left.any() == (side == "left")
    assert right.any() == (side == "right")


def test_a_region_that_no_erosion_parts_is_cut_at_the_axis():
    mask = ellipsoid((2, 0, 55), (60, 50, 70))
    left, right = sides_of(mask, x_mm=2.0)
    np.testing.assert_array_equal(left, mask & (X > 2.0))
    np.testing.assert_array_equal(right, mask & (X <= 2.0))
