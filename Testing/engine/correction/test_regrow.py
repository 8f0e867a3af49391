"""Outlines out of the probability map."""

import numpy as np
import pytest
from chests import block
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.correction.regrow import about_point, at_threshold
from scipy.spatial.transform import Rotation
from volumes import affine_of

SHAPE, CENTER = (24, 60, 70), (12, 30, 35)
AFFINE = affine_of(turn_degrees=(14, -9, 25))
SPACING = (2.5, 0.8, 0.7)


def distance_mm(center=CENTER) -> np.ndarray:
    offset = np.moveaxis(np.indices(SHAPE), 0, -1) - center
    return np.linalg.norm(offset * SPACING, axis=-1)


def cone(center=CENTER, peak=1.0, reach_mm=12.0) -> np.ndarray:
    """Probability that falls linearly from its peak to 0 at ``reach_mm``: where it equals t is a sphere."""
    return np.clip(peak * (1 - distance_mm(center) / reach_mm), 0, None).astype(np.float32)


def whole(mask: Volume) -> np.ndarray:
    found = np.zeros(SHAPE, bool)
    start = np.rint(Volume(found, AFFINE).lps_to_index(mask.origin)).astype(int)
    found[tuple(slice(a, a + n) for a, n in zip(start, mask.shape, strict=True))] = mask.array
    return found


def on_grid(array) -> Volume:
    return Volume(array, AFFINE)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_a_threshold_cuts_the_lesion_where_the_probability_has_it(threshold):
    lesion = on_grid(cone() >= 0.5)
    np.testing.assert_array_equal(
        whole(at_threshold(on_grid(cone()), lesion, threshold)), cone() >= np.float32(threshold)
    )


def test_a_cropped_lesion_and_a_cropped_map_give_the_same():
    lesion = on_grid(cone() >= 0.5).crop((6, 20, 20), (20, 45, 60))
    probability = on_grid(cone()).crop((2, 5, 8), (23, 58, 66))
    np.testing.assert_array_equal(whole(at_threshold(probability, lesion, 0.3)), cone() >= np.float32(0.3))


def test_other_lesions_keep_their_voxels_and_separate_spots_stay_out():
    second = (12, 30, 62)
    probability = np.maximum(cone(), cone(second, reach_mm=4.0))
    lesion, other = on_grid(cone() >= 0.5), on_grid(block(SHAPE, (0, 0, 38), (24, 60, 70)))
    found = whole(at_threshold(on_grid(probability), lesion, 0.3, others=[other]))
    np.testing.assert_array_equal(found, (cone() >= np.float32(0.3)) & ~other.array)
    assert not whole(at_threshold(on_grid(probability), lesion, 0.3))[second]


def test_a_lesion_grows_twenty_millimeters_at_most():
    lesion = on_grid(block(SHAPE, (11, 29, 34), (14, 32, 37)))
    found = whole(at_threshold(on_grid(np.full(SHAPE, 0.4, np.float32)), lesion, 0.3))
    grown_mm = np.subtract((11, 29, 34), np.argwhere(found).min(axis=0)) * SPACING
    assert (grown_mm >= 20 - 1e-6).all()
    assert (grown_mm <= 20 + np.array(SPACING) + 1e-6).all(), "and the rest of a voxel"


def test_above_the_peak_nothing_is_left():
    lesion = on_grid(cone(peak=0.6) >= 0.3)
    assert not at_threshold(on_grid(cone(peak=0.6)), lesion, 0.7).array.any()
    assert not at_threshold(on_grid(cone()), on_grid(np.zeros(SHAPE, bool)), 0.3).array.any()


@pytest.mark.parametrize("peak", [0.1, 0.9])
def test_a_click_fills_to_half_of_the_peak_nearby(peak):
    values = cone(peak=peak)
    point = tuple(on_grid(values).index_to_lps(np.add(CENTER, (0, 2, 0))))  # 1.6 mm beside the peak
    np.testing.assert_array_equal(whole(about_point(on_grid(values), point)), values >= 0.5 * values.max())


def test_a_click_near_another_lesion_leaves_it_alone():
    values = cone()
    other = on_grid(block(SHAPE, (0, 0, 36), (24, 60, 70)))
    found = whole(about_point(on_grid(values), tuple(on_grid(values).index_to_lps(CENTER)), others=[other]))
    np.testing.assert_array_equal(found, (values >= 0.5) & ~other.array)
    with pytest.raises(UnusableInput, match="lies in another lesion"):
        about_point(on_grid(values), tuple(on_grid(values).index_to_lps((12, 30, 36))), others=[other])


def test_where_the_network_sees_nothing_a_click_is_refused_with_the_way_out():
    with pytest.raises(UnusableInput, match="found no tumor at this point"):
        about_point(on_grid(cone(peak=0.04)), tuple(on_grid(cone()).index_to_lps(CENTER)))
    with pytest.raises(UnusableInput, match="found no tumor at this point"):
        about_point(on_grid(cone()), tuple(on_grid(cone()).index_to_lps((12, 30, -2))))


def test_the_axes_may_lie_in_any_direction():
    turned = Rotation.from_euler("xyz", (80, 40, -120), degrees=True).as_matrix() * SPACING
    affine = np.eye(4)
    affine[:3, :3] = turned
    values = Volume(cone(), affine)
    found = about_point(values, tuple(values.index_to_lps(CENTER)))
    assert np.count_nonzero(found.array) == np.count_nonzero(cone() >= 0.5)
