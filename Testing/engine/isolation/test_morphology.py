"""Balls and disks in millimeters against distances computed one by one."""

import numpy as np
import pytest
from LungTumorSegLib.isolation import morphology
from LungTumorSegLib.isolation.morphology import (
    biggest_component,
    box_around,
    close,
    components_touching,
    dilate,
    erode,
    grow_by_one,
    grow_over_corners,
    holes,
    label_components,
    open_,
)
from scipy import ndimage

SPACINGS = [(3.0, 2.0, 2.0), (2.5, 0.7, 0.9), (1.0, 1.3, 2.1)]


def dilated_slowly(mask, radius_mm, spacing, planar):
    """Every voxel against every voxel of the mask."""
    points = np.indices(mask.shape).reshape(3, -1).T * np.array(spacing)
    seeds = np.argwhere(mask) * np.array(spacing)
    squares = (points[:, None] - seeds[None]) ** 2
    if planar:
        squares[..., 0] = np.where(squares[..., 0] == 0, 0, np.inf)
    return (squares.sum(axis=-1) <= radius_mm**2 + 1e-9).any(axis=1).reshape(mask.shape)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("radius_mm", [0.5, 2.0, 5.0, 7.3])
@pytest.mark.parametrize("planar", [False, True])
def test_dilation_is_a_ball_or_a_disk(spacing, radius_mm, planar):
    mask = np.random.default_rng(5).random((9, 14, 19)) < 0.004
    np.testing.assert_array_equal(
        dilate(mask, radius_mm, spacing, planar=planar), dilated_slowly(mask, radius_mm, spacing, planar)
    )


def test_a_disk_is_the_same_in_slabs_of_any_size(monkeypatch):
    mask = np.random.default_rng(5).random((9, 14, 19)) < 0.004
    whole = dilate(mask, 5.0, SPACINGS[0], planar=True)
    monkeypatch.setattr(morphology, "SLAB_VOXELS", 2 * 14 * 19)
    np.testing.assert_array_equal(dilate(mask, 5.0, SPACINGS[0], planar=True), whole)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_quick_passes_equal_those_of_scipy(share):
    mask = np.random.default_rng(7).random((6, 15, 17)) < share
    for plane in mask:
        np.testing.assert_array_equal(holes(plane), ndimage.binary_fill_holes(plane) & ~plane)
    np.testing.assert_array_equal(grow_by_one(mask), ndimage.binary_dilation(mask))
    np.testing.assert_array_equal(~grow_by_one(~mask), ndimage.binary_erosion(mask, border_value=1))
    seeds = np.random.default_rng(8).random(mask.shape) < 0.02
    np.testing.assert_array_equal(components_touching(mask, seeds), ndimage.binary_propagation(seeds & mask, mask=mask))


def test_what_fills_a_part_of_the_array_is_treated_like_the_whole():
    rng = np.random.default_rng(11)
    spacing = SPACINGS[0]
    mask = np.zeros((5, 8, 9), bool)
    mask[1:4, 2:6, 4:9] = rng.random((3, 4, 5)) < 0.7
    for planar in (False, True):
        shrunk = ~dilated_slowly(~mask, 2.6, spacing, planar)
        np.testing.assert_array_equal(erode(mask, 2.6, spacing, planar=planar), shrunk)
        wide = np.pad(mask, 3)
        closed = ~dilated_slowly(~dilated_slowly(wide, 2.6, spacing, planar), 2.6, spacing, planar)
        np.testing.assert_array_equal(close(mask, 2.6, spacing, planar=planar), closed[3:-3, 3:-3, 3:-3])
    for each in (mask, mask[3], np.zeros_like(mask)):
        (labels, count), (expected, number) = label_components(each), ndimage.label(each)
        assert count == number
        np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(grow_over_corners(mask), ndimage.binary_dilation(mask, np.ones((3, 3, 3))))


def test_a_ball_holds_its_rim_although_spacings_are_rounded():
    mask = np.zeros((1, 1, 13), bool)
    mask[0, 0, 6] = True
    assert dilate(mask, 0.3, (1.0, 1.0, 0.1 + 1e-12)).sum() == 7  # 0.3 / 0.1 is below 3 in binary


def test_an_empty_mask_stays_empty():
    assert not dilate(np.zeros((3, 4, 5), bool), 4.0, SPACINGS[0]).any()


def test_erosion_stops_at_the_border_of_the_array():
    mask = np.ones((4, 6, 8), bool)
    mask[2, 3, 7] = False
    np.testing.assert_array_equal(erode(mask, 2.0, (3.0, 2.0, 2.0)), ~dilate(~mask, 2.0, (3.0, 2.0, 2.0)))
    assert erode(np.ones((4, 6, 8), bool), 2.0, (1.0, 1.0, 1.0)).all()


@pytest.mark.parametrize(("gap_columns", "closed"), [(4, True), (5, False)])
def test_closing_fills_gaps_up_to_twice_the_radius(gap_columns, closed):
    mask = np.ones((3, 9, 24), bool)
    mask[:, :, 10 : 10 + gap_columns] = False
    mask[:, 0] = mask[:, -1] = False
    filled = close(mask, 4.0, (3.0, 2.0, 2.0), planar=True)  # two columns from each side
    assert filled[1, 4, 10 : 10 + gap_columns].all() == closed


def test_closing_keeps_a_mask_at_the_border_as_it_is():
    mask = np.zeros((5, 12, 12), bool)
    mask[1:4, :4, 5:] = True
    np.testing.assert_array_equal(close(mask, 6.0, (3.0, 2.0, 2.0)), mask)


def test_opening_takes_away_what_is_thin():
    mask = np.zeros((3, 30, 30), bool)
    mask[:, 5:20, 5:25] = True
    with_thread = mask.copy()
    with_thread[:, 21:23] = True
    opened = open_(with_thread, 4.0, (3.0, 2.0, 2.0), planar=True)
    assert not opened[:, 21:].any()
    assert opened[:, 8:17, 8:22].all()
    assert not (opened & ~mask).any()


def test_the_biggest_component_touches_by_faces():
    mask = np.zeros((2, 6, 7), bool)
    mask[0, :2, :3] = True
    mask[1, 2, 3] = True  # touches the block by a corner only
    expected = mask.copy()
    expected[1, 2, 3] = False
    np.testing.assert_array_equal(biggest_component(mask), expected)
    assert not biggest_component(np.zeros((2, 3, 4), bool)).any()


def test_a_box_around_has_its_margin_within_the_array():
    mask = np.zeros((10, 20, 30), bool)
    mask[2:4, 5:9, 28:29] = True
    assert box_around(mask, 4.0, (3.0, 2.0, 1.5)) == (slice(0, 6), slice(3, 11), slice(25, 30))
    assert box_around(mask, 4.0, (3.0, 2.0, 1.5), planar=True)[0] == slice(2, 4)
    with pytest.raises(ValueError, match="empty mask has no bounding box"):
        box_around(np.zeros((2, 2, 2), bool), 0.0, (1.0, 1.0, 1.0))
