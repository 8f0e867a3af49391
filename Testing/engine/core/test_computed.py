"""Volumes without stored voxels give the voxels that stored ones would give."""

import numpy as np
import pytest
from LungTumorSegLib.core.computed import SLAB_SLICES, ComputedVolume, slabs
from LungTumorSegLib.core.crops import sparse
from LungTumorSegLib.core.volume import Volume
from volumes import ORIENTATIONS, affine_of

STORED = Volume(np.arange(SLAB_SLICES * 2 * 5 * 6 + 30).reshape(-1, 5, 6), affine_of())


def computed(stored: Volume) -> ComputedVolume:
    return ComputedVolume(stored.grid, lambda box: stored.crop(*box).array)


def assert_equal(a: Volume, b: Volume) -> None:
    assert a.same_grid(b, tolerance_mm=1e-9)
    np.testing.assert_array_equal(a.array, b.array)


@pytest.mark.parametrize("order", ORIENTATIONS)
def test_any_order_of_axes_gives_the_same_voxels(order):
    stored, found = order.apply(STORED), order.apply(computed(STORED))
    assert_equal(found, stored)
    assert_equal(found.crop((1, 2, 0), (5, 4, 3)), stored.crop((1, 2, 0), (5, 4, 3)))
    assert_equal(order.undo(found), STORED)


@pytest.mark.parametrize("order", ORIENTATIONS)
def test_sparse_masks_stay_sparse_in_any_order_of_axes(order):
    mask = STORED.with_array((STORED.array > 500) & (STORED.array % 6 < 3))
    found = order.apply(sparse(mask))
    assert_equal(found, order.apply(mask))
    assert found.stored.mask.array.size < mask.array.size
    assert_equal(
        order.apply(sparse(mask.with_array(np.zeros(mask.shape, bool)))),
        order.apply(mask.with_array(np.zeros(mask.shape, bool))),
    )


def test_slabs_cover_every_slice_once():
    assert [first for first, _ in slabs(computed(STORED))] == [0, SLAB_SLICES, 2 * SLAB_SLICES]
    np.testing.assert_array_equal(np.concatenate([slab for _, slab in slabs(computed(STORED))]), STORED.array)


def test_a_computed_volume_gives_its_grid_to_other_voxels():
    assert_equal(computed(STORED).with_array(STORED.array), STORED)
    with pytest.raises(ValueError, match="does not fit"):
        computed(STORED).with_array(np.zeros((1, 2, 3)))
