"""Connected components: over corners too, and chosen by voxels that they contain."""

from __future__ import annotations

import numpy as np
from LungTumorSegLib.core.components import components_at, connected_with, largest_component


def a_mask():
    """Return two voxels that share a corner, three in a row, and one alone."""
    mask = np.zeros((6, 8, 8), bool)
    mask[1, 1, 1] = mask[2, 2, 2] = True
    mask[4, 4, 2:5] = True
    mask[0, 7, 7] = True
    return mask


def test_voxels_that_share_a_corner_are_connected():
    mask, seeds = a_mask(), np.zeros((6, 8, 8), bool)
    seeds[1, 1, 1] = seeds[5, 0, 0] = True  # the second one lies outside of the mask
    assert np.argwhere(connected_with(mask, seeds)).tolist() == [[1, 1, 1], [2, 2, 2]]


def test_seeds_outside_of_all_components_choose_none():
    labels, seeds = a_mask().astype(int), ~a_mask()
    assert not components_at(labels, seeds).any()


def test_the_largest_component_has_the_most_voxels():
    assert np.argwhere(largest_component(a_mask())).tolist() == [[4, 4, 2], [4, 4, 3], [4, 4, 4]]
    assert largest_component(np.zeros((2, 2, 2), bool)) is None
