"""Burden, distances and margins."""

import numpy as np
import pytest
from chests import block, make_chest
from LungTumorSegLib.core.selection import is_lesion
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.lesions import margins, report_lesions, spread_as_json
from LungTumorSegLib.lesions.spread import Margin
from volumes import ORIENTATIONS, affine_of

SHAPE = (30, 40, 60)
LARGE, SMALL, OTHER = ((4, 10, 40), (8, 15, 46)), ((22, 20, 44), (25, 24, 47)), ((12, 20, 10), (14, 24, 13))


def a_report(*places, **geometry):
    mask = np.zeros(SHAPE, dtype=bool)
    for place in places:
        mask |= block(SHAPE, *place)
    chest = make_chest(**geometry).with_tumor(mask)
    return chest, report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0)


def center(chest, place):
    return chest.ct.index_to_lps((np.add(*place) - 1) / 2)


def test_burden_is_the_sum_of_volumes_and_their_share_of_both_lungs():
    chest, report = a_report(LARGE, SMALL, OTHER)
    voxels = 120 + 36 + 24
    lungs = np.count_nonzero(chest.left_lung.array | chest.right_lung.array)
    assert report.spread.count == 3
    assert report.spread.burden_ml == pytest.approx(voxels * chest.ct.voxel_volume_ml)
    assert report.spread.burden_percent == pytest.approx(100 * voxels / lungs)


def test_lesions_outside_the_drawn_lungs_count_as_lung_too():
    chest, _ = a_report(LARGE)
    left = chest.left_lung.with_array(chest.left_lung.array & ~chest.tumor.array)
    report = report_lesions(chest.tumor, chest.ct, left, chest.right_lung, min_lesion_ml=0.0)
    lungs = np.count_nonzero(chest.left_lung.array | chest.right_lung.array)
    assert report.spread.lung_ml == pytest.approx(lungs * chest.ct.voxel_volume_ml)


def test_distances_run_between_centroids():
    chest, report = a_report(LARGE, SMALL, OTHER, turn_degrees=(14, -9, 25))
    points = [center(chest, place) for place in (LARGE, SMALL, OTHER)]
    from_dominant = [np.linalg.norm(point - points[0]) for point in points]
    assert [x.distance_from_dominant_mm for x in report.lesions] == pytest.approx(from_dominant)
    assert report.spread.largest_distance_mm == pytest.approx(
        max(*from_dominant, np.linalg.norm(points[1] - points[2]))
    )


def test_each_lesion_lies_on_the_largest_ones_side_or_the_other():
    assert [lesion.side_from_dominant for lesion in a_report(LARGE, SMALL, OTHER)[1].lesions] == [
        "same side",
        "same side",
        "other side",
    ]
    assert [lesion.side_from_dominant for lesion in a_report(SMALL, OTHER)[1].lesions] == ["same side", "other side"]


def test_lesions_are_counted_by_side_and_zone():
    _, report = a_report(LARGE, SMALL, OTHER)
    assert report.spread.places == {("Left", "lower"): 1, ("Left", "upper"): 1, ("Right", "middle"): 1}
    assert spread_as_json(report)["places"][0] == {"side": "Left", "zone": "lower", "count": 1}


def test_one_lesion_or_none_has_no_distance():
    assert a_report(LARGE)[1].spread.largest_distance_mm == 0
    nothing = a_report()[1].spread
    assert (nothing.count, nothing.burden_ml, nothing.largest_distance_mm, nothing.places) == (0, 0, 0, {})


def balls(spacing) -> tuple[Volume, Volume]:
    """Labels of one ball of 9 mm, and a lung that is everything."""
    count = [2 * int(32 / s) + 1 for s in spacing]
    z, y, x = np.meshgrid(*[(np.arange(n) - n // 2) * s for n, s in zip(count, spacing, strict=True)], indexing="ij")
    labels = Volume((x**2 + y**2 + z**2 <= 81).astype(np.uint16), affine_of(spacing))
    return labels, labels.with_array(np.ones(labels.shape, dtype=bool))


@pytest.mark.parametrize(
    ("spacing", "share"), [((1.0, 0.8, 0.9), 0.05), ((2.5, 0.8, 0.7), 0.1)]
)  # half a slice of 2.5 mm in 5 mm
def test_a_margin_about_a_ball_is_a_shell(spacing, share):
    for margin in margins(*balls(spacing)):
        expected_ml = 4 / 3 * np.pi * ((9 + margin.distance_mm) ** 3 - 9**3) / 1000
        found_ml = np.count_nonzero(margin.mask.array) * margin.mask.voxel_volume_ml
        assert found_ml == pytest.approx(expected_ml, rel=share)


def test_margins_stay_in_lung_and_body_and_out_of_lesions():
    chest, report = a_report(LARGE, ((4, 10, 48), (7, 13, 50)))
    lungs = chest.left_lung.with_array(chest.left_lung.array | chest.right_lung.array)
    body = chest.left_lung.with_array(block(SHAPE, (0, 0, 0), (30, 14, 60)))
    found = list(margins(report.labels, lungs, body, distances_mm=(2.0, 6.0)))
    assert [(m.number, m.distance_mm) for m in found] == [(1, 2.0), (1, 6.0), (2, 2.0), (2, 6.0)]
    for margin in found:
        start = np.rint(chest.ct.lps_to_index(margin.mask.origin)).astype(int)
        here = tuple(slice(a, a + n) for a, n in zip(start, margin.mask.shape, strict=True))
        assert margin.mask.array.any()
        assert not (margin.mask.array & ~(lungs.array & body.array & (report.labels.array == 0))[here]).any()
    assert not (found[0].mask.array & ~found[1].mask.array[tuple(slice(0, n) for n in found[0].mask.shape)]).any()


@pytest.mark.parametrize("order", ORIENTATIONS[::13], ids=str)
def test_orientation_changes_no_margin(order):
    labels, lung = balls((2.5, 0.8, 0.7))
    for expected, found in zip(margins(labels, lung), margins(order.apply(labels), order.apply(lung)), strict=True):
        np.testing.assert_array_equal(order.undo(found.mask).array, expected.mask.array)


def test_a_margin_is_not_taken_for_a_lesion():
    margin = Margin(3, "GTV left", 5.0, balls((3, 3, 3))[1], ((0, 0, 0), (1, 1, 1)))
    assert margin.name == "GTV left margin 5 mm"

    class Segment:
        name, mask, terminology = margin.name, margin.mask, ""

    assert not is_lesion(Segment())
