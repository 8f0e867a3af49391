"""Surface distances in mm."""

import numpy as np
import pytest
from LungTumorSegLib.evaluation.surface_distance import surface_distances

SPACING_MM = (3.0, 0.7, 1.1)


def a_mask(*voxels, shape=(6, 9, 11)):
    mask = np.zeros(shape, bool)
    for voxel in voxels:
        mask[voxel] = True
    return mask


@pytest.mark.parametrize(
    ("voxel", "distance_mm"), [((4, 3, 5), 6.0), ((2, 7, 5), 2.8), ((2, 3, 9), 4.4), ((3, 3, 6), np.hypot(3, 1.1))]
)
def test_two_voxels_are_apart_by_their_distance_in_mm(voxel, distance_mm):
    found = surface_distances(a_mask((2, 3, 5)), a_mask(voxel), spacing_mm=SPACING_MM)
    assert found.hd95_mm == pytest.approx(distance_mm)
    assert found.mean_mm == pytest.approx(distance_mm)


def test_the_mean_is_taken_over_the_surface_voxels_of_both_masks():
    # prediction: columns 1 and 4; reference: column 1. Distances 0 and 3.3 one way, 0 the other.
    found = surface_distances(a_mask((2, 3, 1), (2, 3, 4)), a_mask((2, 3, 1)), spacing_mm=SPACING_MM)
    assert found.mean_mm == pytest.approx((0 + 3.3 + 0) / 3)
    assert found.hd95_mm == pytest.approx(0.95 * 3.3)  # numpy's percentile between 0 and 3.3


def test_the_larger_of_the_two_directions_counts():
    near, far = a_mask((2, 3, 1)), a_mask((2, 3, 1), (2, 3, 4))
    assert surface_distances(near, far, spacing_mm=SPACING_MM) == surface_distances(far, near, spacing_mm=SPACING_MM)


def test_the_inside_of_a_mask_does_not_count():
    solid, hollow = np.zeros((2, 7, 7, 7), bool)
    solid[1:6, 1:6, 1:6] = True
    hollow[:] = solid
    hollow[3, 3, 3] = False  # its six neighbors become surface; each lies 2 voxels below the solid's surface
    found = surface_distances(hollow, solid, spacing_mm=(1, 1, 1))
    surface = 125 - 27
    assert found.mean_mm == pytest.approx(
        6 * 1 / (surface + 6 + surface)
    )  # the neighbors lie 1 voxel below the outer layer


def test_a_mask_that_fills_the_image_has_its_surface_at_the_border():
    full, inner = np.ones((5, 5, 5), bool), np.zeros((5, 5, 5), bool)
    inner[1:4, 1:4, 1:4] = True
    assert surface_distances(full, inner, spacing_mm=(2, 2, 2)).hd95_mm > 0


def test_an_empty_mask_has_no_distance():
    empty, voxel = a_mask(), a_mask((2, 3, 5))
    for pair in ((empty, voxel), (voxel, empty), (empty, empty)):
        assert surface_distances(*pair, spacing_mm=SPACING_MM) is None


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI calls its own deprecated argument
@pytest.mark.slow
def test_monai_agrees():
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("monai.metrics")
    index = np.indices((12, 15, 13))
    prediction = ((index - np.array([5, 7, 6])[:, None, None, None]) ** 2).sum(axis=0) < 17
    reference = ((index - np.array([6, 9, 4])[:, None, None, None]) ** 2).sum(axis=0) < 11
    reference[:2, 12:, 10:] = True  # a second piece at the image's border
    found = surface_distances(prediction, reference, spacing_mm=SPACING_MM)
    p, r = (torch.from_numpy(mask)[None, None] for mask in (prediction, reference))
    options = {"include_background": True, "spacing": SPACING_MM}
    assert found.hd95_mm == pytest.approx(
        float(metrics.compute_hausdorff_distance(p, r, percentile=95, **options)), rel=1e-5
    )
    assert found.mean_mm == pytest.approx(
        float(metrics.compute_average_surface_distance(p, r, symmetric=True, **options)), rel=1e-5
    )
