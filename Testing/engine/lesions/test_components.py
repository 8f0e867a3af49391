"""Lesions as connected components: which voxels belong together, which lesion comes first."""

import numpy as np
import pytest
from chests import block
from LungTumorSegLib.core.boxes import slices_of
from LungTumorSegLib.core.crops import Crop, crop_of
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.lesions import components
from LungTumorSegLib.lesions.components import label_lesions, lesion_crops
from volumes import affine_of

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


def test_of_equal_lesions_the_one_nearest_the_feet_comes_first():
    labels = label_lesions(
        a_mask(((6, 0, 0), (8, 2, 2)), ((1, 4, 5), (3, 6, 7)), ((1, 4, 1), (3, 6, 3))), min_lesion_ml=0
    )
    assert [labels.array[at] for at in ((1, 4, 1), (1, 4, 5), (6, 0, 0))] == [1, 2, 3]


@pytest.mark.parametrize("around", [((0, 0, 0), SHAPE), ((0, 0, 0), (9, 11, 9)), ((3, 0, 1), (9, 11, 13))])
def test_pieces_that_a_mask_holds_together_are_one_lesion_even_where_it_reaches_beyond_the_tumor(around):
    tumor = a_mask(MIDDLE, LARGE)
    assert label_lesions(tumor, min_lesion_ml=0).array.max() == 2
    labels = label_lesions(tumor, min_lesion_ml=0, together=[crop_of(a_mask(around))])
    assert labels.array.max() == 1
    np.testing.assert_array_equal(labels.array > 0, tumor.array)


def test_a_mask_without_tumor_holds_nothing_together():
    together = [crop_of(a_mask(SMALL)), crop_of(a_mask(((8, 10, 12), SHAPE)))]
    assert label_lesions(a_mask(MIDDLE, LARGE), min_lesion_ml=0, together=together).array.max() == 2


def test_more_lesions_than_labels_are_refused(monkeypatch):
    monkeypatch.setattr(components, "MOST_LESIONS", 2)
    with pytest.raises(UnusableInput, match="3 separate lesions; raise the smallest lesion volume"):
        label_lesions(a_mask(SMALL, MIDDLE, LARGE), min_lesion_ml=0)


def test_a_crop_holds_its_lesion_alone():
    labels = label_lesions(
        a_mask(LARGE, ((4, 6, 7), (6, 8, 9))), min_lesion_ml=0
    )  # the boxes overlap along every axis but one
    first, second = lesion_crops(labels)
    assert first.box == LARGE
    assert first.mask.array.all()
    assert second.mask.shape == (2, 2, 2)
    np.testing.assert_allclose(first.mask.affine, labels.crop(*LARGE).affine, atol=1e-9)
    assert first.voxels_of(labels).tolist() == [1] * 80
    assert second.voxels_of(labels).tolist() == [2] * 8


def test_a_lesion_in_two_pieces_is_one_crop():
    mask = a_mask(SMALL, MIDDLE)
    crop = crop_of(mask)
    assert crop.box == ((0, 0, 0), (6, 2, 11))
    assert np.count_nonzero(crop.mask.array) == 16
    assert crop_of(a_mask()) is None


@pytest.mark.parametrize("box", [((0, 0, 0), SHAPE), ((3, 0, 2), (9, 11, 13))])
def test_components_of_one_lesion_may_be_given_in_a_box_larger_than_the_tumor(box):
    tumor = a_mask(MIDDLE, LARGE)
    whole = Crop(Volume(tumor.array[slices_of(box)], tumor.crop(*box).affine), box)
    assert label_lesions(tumor, min_lesion_ml=0).array.max() == 2
    assert label_lesions(tumor, min_lesion_ml=0, together=[whole]).array.max() == 1
