"""The working grid holds the mask, keeps its place in space, and leads back to the CT."""

import numpy as np
import pytest
from LungTumorSegLib.core.volume import AIR_HU, CTVolume
from LungTumorSegLib.inference.grid import make_working_grid


def oblique_axial_affine(spacing, degrees=12.0):
    """Canonical axial axes turned about x and z, so that no axis is parallel to the patient's."""
    a, b = np.deg2rad([degrees, degrees / 2])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = (about_z @ about_x)[:, ::-1] * spacing
    affine[:3, 3] = (-31.0, 17.5, 120.25)
    return affine


@pytest.fixture
def a_ct_with_a_mask():
    """A smooth bump of tissue inside a box-shaped mask, air outside it."""
    shape = (30, 70, 60)
    affine = oblique_axial_affine((2.5, 0.8, 0.9))
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    mask = np.zeros(shape, bool)
    mask[5:26, 12:60, 8:50] = True
    center = np.array([15, 35, 28])
    distance = np.linalg.norm((index - center) * (2.5, 0.8, 0.9), axis=-1)
    hu = np.where(mask, -800 + 850 * np.exp(-((distance / 9.0) ** 2)), AIR_HU).astype(np.float32)
    ct = CTVolume(hu, affine)
    return ct, ct.with_array(mask), center


def working_grid(a_ct_with_a_mask):
    ct, mask, _ = a_ct_with_a_mask
    return make_working_grid(ct, mask, spacing_mm=(3.0, 1.5, 1.5), intensity_range_hu=(-1000, 400))


def test_spacing_size_and_range_are_the_models(a_ct_with_a_mask):
    grid = working_grid(a_ct_with_a_mask)
    np.testing.assert_allclose(grid.image.spacing, (3.0, 1.5, 1.5), rtol=1e-9)
    assert grid.image.shape[0] >= 8
    assert grid.image.shape[1] % 8 == grid.image.shape[2] % 8 == 0
    assert grid.image.array.dtype == np.float32
    assert grid.image.array.min() == 0
    assert grid.image.array.max() <= 1


def test_the_brightest_voxel_stays_at_its_place_in_the_patient(a_ct_with_a_mask):
    ct, _, center = a_ct_with_a_mask
    grid = working_grid(a_ct_with_a_mask)
    brightest = np.unravel_index(grid.image.array.argmax(), grid.image.shape)
    distance = np.linalg.norm(grid.image.index_to_lps(brightest) - ct.index_to_lps(center))
    assert distance < np.linalg.norm((3.0, 1.5, 1.5)) / 2 + 1e-6  # half a voxel's diagonal


def test_the_whole_mask_lies_inside_with_air_around(a_ct_with_a_mask):
    _, mask, _ = a_ct_with_a_mask
    grid = working_grid(a_ct_with_a_mask)
    corners = mask.index_to_lps(np.argwhere(mask.array)[[0, -1]])
    index = grid.image.lps_to_index(corners)
    assert (index > 3).all()
    assert (index < np.array(grid.image.shape) - 4).all()
    for axis in range(3):
        assert not np.take(grid.image.array, [0, 1, -1, -2], axis=axis).any()


def test_rows_of_air_lead_to_the_mask_so_that_the_recurrence_has_settled(a_ct_with_a_mask):
    grid = working_grid(a_ct_with_a_mask)
    rows = np.flatnonzero(grid.region.array.any(axis=(0, 2)))
    assert rows[0] >= 4 + 8 - 1  # the region is blurred by up to a voxel
    assert grid.image.shape[1] - 1 - rows[-1] < 4 + 8, "behind the mask nothing depends on it"


def test_carrying_the_image_back_reproduces_a_smooth_ct(a_ct_with_a_mask):
    ct, mask, _ = a_ct_with_a_mask
    grid = working_grid(a_ct_with_a_mask)
    back = grid.carry_back(grid.image.array)
    assert back.same_grid(ct, tolerance_mm=1e-9)
    inner = np.zeros(ct.shape, bool)
    inner[8:23, 20:52, 16:42] = True
    wanted = np.clip((ct.array + 1000) / 1400, 0, 1)
    assert np.abs(back.array - wanted)[inner].max() < 0.06  # linear interpolation of a bump of 9 mm at 3 mm slices
    assert not back.array[~mask.array][: 4 * 70 * 60].any()


def test_nearest_slices_follow_positions(a_ct_with_a_mask):
    ct, _, _ = a_ct_with_a_mask
    grid = working_grid(a_ct_with_a_mask)
    nearest = grid.nearest_slices()
    for k in (6, 15, 24):
        place = grid.image.lps_to_index(ct.index_to_lps((k, 30, 30)))[0]
        assert abs(nearest[k] - place) <= 0.5 + 1e-9


def test_a_mask_of_nothing_is_refused(a_ct_with_a_mask):
    ct, mask, _ = a_ct_with_a_mask
    with pytest.raises(ValueError, match="empty"):
        make_working_grid(
            ct, mask.with_array(np.zeros(mask.shape, bool)), spacing_mm=(3, 1.5, 1.5), intensity_range_hu=(-1000, 400)
        )


def test_another_axis_order_is_refused(a_ct_with_a_mask):
    ct, mask, _ = a_ct_with_a_mask
    flipped = CTVolume(ct.array, ct.affine * [[-1, 1, 1, 1]] * 1.0)
    with pytest.raises(ValueError, match="canonical"):
        make_working_grid(flipped, mask, spacing_mm=(3, 1.5, 1.5), intensity_range_hu=(-1000, 400))


@pytest.mark.parametrize("spacing_mm", [(2.5, 0.8, 0.9), (5.0, 1.6, 1.8), (1.25, 0.8, 0.45)])
def test_rounding_of_a_header_does_not_move_the_grid(a_ct_with_a_mask, spacing_mm):
    """Where the mask's extent is a whole number of working voxels, a last bit must not add one."""
    ct, mask, _ = a_ct_with_a_mask
    grids = []
    for factor in (1 - 1e-7, 1.0, 1 + 1e-7):
        affine = ct.affine.copy()
        affine[:3, :3] *= factor
        again = CTVolume(ct.array, affine)
        grids.append(
            make_working_grid(
                again, again.with_array(mask.array), spacing_mm=spacing_mm, intensity_range_hu=(-1000, 400)
            )
        )
    assert len({grid.image.shape for grid in grids}) == 1
    np.testing.assert_allclose([grid.start for grid in grids], [grids[1].start] * 3, atol=1e-4)
