"""Boxes of voxels."""

import numpy as np
import pytest
from LungTumorSegLib.core.boxes import (
    bounding_box,
    box_of_changes,
    box_of_label,
    mask_on_grid,
    unite_boxes,
    unite_masks,
)
from LungTumorSegLib.core.volume import Volume
from volumes import affine_of


def test_the_bounding_box_touches_the_outermost_voxels():
    mask = np.zeros((9, 11, 13), dtype=bool)
    mask[2, 9, 4] = mask[8, 3, 5] = True
    assert bounding_box(mask) == ((2, 3, 4), (9, 10, 6))


def test_a_mask_without_a_true_voxel_has_no_box():
    assert bounding_box(np.zeros((2, 3, 4), dtype=bool)) is None


@pytest.mark.parametrize("label", [1, 7])
def test_a_labels_box_holds_its_voxels_alone(label):
    labels = np.zeros((9, 11, 13), dtype=np.uint8)
    labels[2:4, 3:9, 5:6] = 7
    labels[3:8, 10:, 0:2] = 1
    assert box_of_label(labels, label) == bounding_box(labels == label)
    assert box_of_label(labels, 3) is None


def test_changes_are_found_whatever_they_are():
    before = np.zeros((9, 11, 13), dtype=np.uint8)
    after = before.copy()
    assert box_of_changes(before, after) is None
    after[2, 9, 4], before[6, 3, 5] = 3, 1
    assert box_of_changes(before, after) == ((2, 3, 4), (7, 10, 6))


def test_boxes_are_united():
    assert unite_boxes(((1, 5, 2), (3, 6, 9)), ((2, 0, 4), (8, 1, 5))) == ((1, 0, 2), (8, 6, 9))


def test_masks_on_one_lattice_are_placed_and_united():
    whole = Volume(np.arange(9 * 11 * 13).reshape(9, 11, 13) % 5 == 0, affine_of(turn_degrees=(14, -9, 25)))
    a, b = whole.crop((1, 2, 3), (6, 7, 8)), whole.crop((3, 4, 5), (8, 11, 13))
    both = unite_masks(a, b)
    expected = mask_on_grid(a, whole) | mask_on_grid(b, whole)
    np.testing.assert_array_equal(mask_on_grid(both, whole), expected)
    assert both.shape == (7, 9, 10)
    np.testing.assert_array_equal(mask_on_grid(whole, a), a.array)
    assert not mask_on_grid(a, whole.crop((7, 8, 9), (9, 11, 13))).any()
