"""Lesions as connected components: which voxels belong together, which lesion comes first."""

import numpy as np
import pytest
from chests import block
from LungTumorSegLib.ct import Volume
from LungTumorSegLib.errors import UnusableInput
from LungTumorSegLib.lesions import components
from LungTumorSegLib.lesions.components import crop_of, label_lesions, lesion_crops
from volumes import ORIENTATIONS, affine_of

SHAPE = (9, 11, 13)


def a_mask(*blocks) -> Volume:
    mask = np.zeros(SHAPE, dtype=bool)
    for start, stop in blocks:
        mask |= block(SHAPE, start, stop)
    return Volume(mask, affine_of())


SMALL, MIDDLE, LARGE = ((0, 0, 0), (1, 2, 2)), ((4, 0, 8), (6, 2, 11)), ((3, 5, 2), (7, 10, 6))


def test_lesions_are_numbered_from_the_largest():
    labels = label_lesions(a_mask(SMALL, LARGE, MIDDLE), min_lesion_ml=0)
    assert labels.array.dtype == np.uint16
    assert [labels.array[start] for start, _ in (LARGE, MIDDLE, SMALL)] == [1, 2, 3]
    assert np.bincount(labels.array.ravel())[1:].tolist() == [80, 12, 4]


def test_a_corner_joins_two_blocks():
    joined = a_mask(((1, 1, 1), (3, 3, 3)), ((3, 3, 3), (5, 5, 5)))
    apart = a_mask(((1, 1, 1), (3, 3, 3)), ((4, 3, 3), (6, 5, 5)))
    assert label_lesions(joined, min_lesion_ml=0).array.max() == 1
    assert label_lesions(apart, min_lesion_ml=0).array.max() == 2


def test_the_smallest_volume_is_kept_and_what_is_below_it_is_not():
    mask = a_mask(SMALL, MIDDLE)
    middle_ml = 12 * mask.voxel_volume_ml
    assert label_lesions(mask, min_lesion_ml=middle_ml).array.max() == 1
    assert label_lesions(mask, min_lesion_ml=middle_ml * 1.01).array.max() == 0


def test_no_tumor_voxel_gives_no_lesion():
    labels = label_lesions(a_mask(), min_lesion_ml=0)
    assert not labels.array.any()
    assert list(lesion_crops(labels)) == []


@pytest.mark.parametrize("order", ORIENTATIONS, ids=str)
def test_numbers_do_not_depend_on_the_order_of_axes(order):
    twins = a_mask(((1, 1, 1), (3, 3, 3)), ((1, 1, 6), (3, 3, 8)), ((7, 1, 10), (9, 3, 12)), LARGE)
    expected = label_lesions(twins, min_lesion_ml=0)
    assert expected.array.max() == 4
    found = order.undo(label_lesions(order.apply(twins), min_lesion_ml=0))
    np.testing.assert_array_equal(found.array, expected.array)


def test_more_lesions_than_labels_are_refused(monkeypatch):
    monkeypatch.setattr(components, "MOST_LESIONS", 2)
    with pytest.raises(UnusableInput, match="3 separate lesions; raise the smallest lesion volume"):
        label_lesions(a_mask(SMALL, MIDDLE, LARGE), min_lesion_ml=0)


@pytest.mark.parametrize("order", ORIENTATIONS[::7], ids=str)
def test_a_crop_holds_its_lesion_alone_in_canonical_order(order):
    labels = label_lesions(a_mask(LARGE, ((4, 6, 7), (6, 8, 9))), min_lesion_ml=0)  # the boxes overlap along every axis but one
    first, second = lesion_crops(order.apply(labels))
    assert first.mask.shape == (4, 5, 4)
    assert second.mask.shape == (2, 2, 2)
    assert first.mask.array.all()
    np.testing.assert_allclose(first.mask.affine, labels.crop(LARGE[0], LARGE[1]).affine, atol=1e-9)
    cut = first.cut(order.apply(labels))
    np.testing.assert_array_equal(cut.array, labels.crop(*LARGE).array)


def test_a_lesion_in_two_pieces_is_one_crop():
    mask = a_mask(SMALL, MIDDLE)
    crop = crop_of(mask)
    assert crop.box == ((0, 0, 0), (6, 2, 11))
    assert np.count_nonzero(crop.mask.array) == 16
    assert crop_of(a_mask()) is None
