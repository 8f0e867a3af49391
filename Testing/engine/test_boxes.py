"""Boxes of voxels."""

import numpy as np
from LungTumorSegLib.boxes import bounding_box


def test_the_bounding_box_touches_the_outermost_voxels():
    mask = np.zeros((9, 11, 13), dtype=bool)
    mask[2, 9, 4] = mask[8, 3, 5] = True
    assert bounding_box(mask) == ((2, 3, 4), (9, 10, 6))


def test_a_mask_without_a_true_voxel_has_no_box():
    assert bounding_box(np.zeros((2, 3, 4), dtype=bool)) is None
