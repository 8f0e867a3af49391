"""Which segments an edit has changed."""

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.correction.layers import SegmentMasks
from LungTumorSegLib.correction.snapshot import Layer
from volumes import ORIENTATIONS, affine_of

SHAPE = (9, 11, 13)
GRID = Volume(np.zeros(SHAPE, np.uint8), affine_of(turn_degrees=(14, -9, 25)))


def labels(*boxes) -> np.ndarray:
    """Each box (start, stop) with its label value."""
    array = np.zeros(SHAPE, np.uint8)
    for value, start, stop in boxes:
        array[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = value
    return array


A, B = (1, (1, 2, 3), (4, 5, 7)), (2, (6, 7, 8), (8, 9, 12))


def layer(array, values=None) -> Layer:
    return Layer(GRID.with_array(array), values or {"a": 1, "b": 2})


def whole(crop) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    if crop is not None:
        mask[crop.slices] = crop.mask.array
    return mask


def test_each_segment_is_cut_out_at_its_place():
    crops = SegmentMasks(GRID.grid).update([layer(labels(A, B))])
    assert crops["a"].box == ((1, 2, 3), (4, 5, 7))
    np.testing.assert_allclose(crops["a"].mask.origin, GRID.index_to_lps((1, 2, 3)), atol=1e-9)
    np.testing.assert_array_equal(whole(crops["b"]), labels(A, B) == 2)


def test_only_what_an_edit_touched_is_a_new_object():
    masks = SegmentMasks(GRID.grid)
    before = masks.update([layer(labels(A, B))])
    after = masks.update([layer(labels(A, B, (2, (5, 0, 0), (6, 1, 2))))])
    assert after["a"] is before["a"]
    assert after["b"] is not before["b"]
    assert after["b"].box == ((5, 0, 0), (8, 9, 12))
    assert whole(after["b"]).sum() == 16 + 2


def test_an_edit_that_is_taken_back_gives_the_old_masks():
    masks = SegmentMasks(GRID.grid)
    before = masks.update([layer(labels(A, B))])
    masks.update([layer(labels(A))])
    again = masks.update([layer(labels(A, B))])
    assert again["a"] is before["a"]
    np.testing.assert_array_equal(whole(again["b"]), whole(before["b"]))


def test_a_layer_that_is_the_same_object_is_not_looked_at():
    masks, first = SegmentMasks(GRID.grid), layer(labels(A, B))
    before = masks.update([first])
    first.labels.array[:] = 0  # nobody does that; it shows that the array is not read again
    assert masks.update([first]) == before


def test_painting_over_another_segment_changes_both():
    masks = SegmentMasks(GRID.grid)
    masks.update([layer(labels(A, B))])
    over = labels(A, B, (1, (6, 7, 8), (7, 8, 9)))
    crops = masks.update([layer(over)])
    for value, name in ((1, "a"), (2, "b")):
        np.testing.assert_array_equal(whole(crops[name]), over == value)


def test_an_erased_segment_is_none_and_can_be_painted_again():
    masks = SegmentMasks(GRID.grid)
    masks.update([layer(labels(A, B))])
    assert masks.update([layer(labels(B))])["a"] is None
    np.testing.assert_array_equal(whole(masks.update([layer(labels(A, B))])["a"]), labels(A) == 1)


def test_a_segment_that_moves_to_a_layer_of_its_own_is_not_changed():
    masks = SegmentMasks(GRID.grid)
    before = masks.update([layer(labels(A, B))])
    after = masks.update([layer(labels(A), {"a": 1}), layer(labels((1, *B[1:])), {"b": 1})])
    assert after == before


def test_removed_segments_are_gone_and_new_ones_are_found():
    masks = SegmentMasks(GRID.grid)
    masks.update([layer(labels(A, B))])
    crops = masks.update([layer(labels(A, (3, (0, 0, 0), (1, 1, 1))), {"a": 1, "c": 3})])
    assert set(crops) == {"a", "c"}
    assert crops["c"].box == ((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize("start", [(1, 2, 3), (0, 0, 0)])
def test_a_layer_on_a_part_of_the_grid_is_put_in_its_place_whatever_its_extent(start):
    masks = SegmentMasks(GRID.grid)
    before = masks.update([layer(labels(A, B))])
    part = GRID.with_array(labels(A, B)).crop(start, (8, 9, 12))
    assert masks.update([Layer(part, {"a": 1, "b": 2})]) == before


def test_padding_around_the_ct_is_left_out():
    padded = np.pad(labels(A, B), ((1, 2), (3, 0), (2, 2)))
    affine = GRID.affine_from((-1, -3, -2))
    crops = SegmentMasks(GRID.grid).update([Layer(Volume(padded, affine), {"a": 1, "b": 2})])
    np.testing.assert_array_equal(whole(crops["a"]), labels(A) == 1)


@pytest.mark.parametrize("geometry", [{"origin": (-10.7, 7.0, -30.0)}, {"spacing": (2.5, 0.8, 0.71)}])
def test_a_layer_between_the_voxels_is_refused(geometry):
    other = Volume(labels(A), affine_of(**{"turn_degrees": (14, -9, 25), **geometry}))
    with pytest.raises(UnusableInput, match="does not lie on the CT's voxels"):
        SegmentMasks(GRID.grid).update([Layer(other, {"a": 1})])


@pytest.mark.parametrize("order", ORIENTATIONS[::5], ids=str)
def test_masks_have_canonical_axes_however_the_ct_is_stored(order):
    stored = order.apply(GRID.with_array(labels(A, B)))
    masks = SegmentMasks(stored.grid)
    crop = masks.update([Layer(stored, {"a": 1, "b": 2})])["a"]
    assert masks.grid.same_grid(GRID)
    assert crop.box == ((1, 2, 3), (4, 5, 7))


@pytest.mark.parametrize("order", ORIENTATIONS[3::11], ids=str)
def test_a_layer_may_be_stored_along_other_axes_than_the_ct(order):
    crops = SegmentMasks(GRID.grid).update([Layer(order.apply(GRID.with_array(labels(A, B))), {"a": 1, "b": 2})])
    assert crops["a"].box == ((1, 2, 3), (4, 5, 7))
    np.testing.assert_array_equal(whole(crops["b"]), labels(A, B) == 2)
