"""Reports from a tumor mask and from segments."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from chests import block, make_chest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.lesions import NO_LESION, Maps, measure, report_lesions
from volumes import ORIENTATIONS, SIX_ORIENTATIONS

SHAPE = (30, 40, 60)
IN_LEFT, IN_RIGHT = ((10, 10, 40), (14, 15, 46)), ((12, 20, 10), (15, 24, 13))
VOXEL_ML = 2.5 * 0.8 * 0.7 / 1000


def a_chest(**geometry):
    """120 tumor voxels of 40 HU in the left lung, 36 in the right."""
    return make_chest(**geometry).with_tumor(block(SHAPE, *IN_LEFT) | block(SHAPE, *IN_RIGHT))


def reported(chest, **options):
    return report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, **{"min_lesion_ml": 0.0, **options})


def test_lesions_come_largest_first_with_their_measures():
    chest = a_chest()
    report = reported(chest)
    first, second = report.lesions
    assert [(x.number, x.segment, x.side) for x in report.lesions] == [(1, "Tumor 1", "Left"), (2, "Tumor 2", "Right")]
    assert first.volume_ml == pytest.approx(120 * VOXEL_ML)
    assert second.volume_ml == pytest.approx(36 * VOXEL_ML)
    assert report.spread.burden_ml == pytest.approx(156 * VOXEL_ML)
    assert first.mean_hu == pytest.approx(40)
    np.testing.assert_allclose(first.centroid_lps, chest.ct.index_to_lps((11.5, 12, 42.5)), atol=1e-9)
    assert first.long_axis_mm == pytest.approx(np.hypot(6 * 0.7, 5 * 0.8), abs=0.4)
    assert report.labels.array[IN_LEFT[0]] == 1
    assert report.labels.array[IN_RIGHT[0]] == 2
    assert report.message == "2 lesions found"


def test_mean_hu_is_that_of_the_lesion_alone():
    chest = a_chest()
    chest.ct.array[chest.tumor.array] = np.where(np.arange(156) < 120, 100, -50)  # in the order of slices
    values = [chest.ct.array[block(SHAPE, *place)].mean() for place in (IN_LEFT, IN_RIGHT)]
    assert [x.mean_hu for x in reported(chest).lesions] == pytest.approx(values)


@pytest.mark.parametrize("order", SIX_ORIENTATIONS, ids=str)
def test_orientation_changes_nothing(order):
    chest = a_chest(turn_degrees=(14, -9, 25))
    expected, found = reported(chest), reported(chest.reordered(order))
    for a, b in zip(expected.lesions, found.lesions, strict=True):
        assert (a.segment, a.side) == (b.segment, b.side)
        for name in ("volume_ml", "long_axis_mm", "short_axis_mm", "mean_hu", "centroid_lps"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), abs=1e-6)
    np.testing.assert_array_equal(order.undo(found.labels).array, expected.labels.array)
    np.testing.assert_array_equal(found.reordered(order.inverse()).labels.array, expected.labels.array)


def test_no_lesion_is_said_with_its_limit():
    report = reported(make_chest())
    assert report.lesions == ()
    assert report.message == NO_LESION == "No lesion found; this does not exclude disease"
    assert not report.labels.array.any()


def test_lesions_below_the_smallest_volume_are_left_out():
    report = reported(a_chest(), min_lesion_ml=40 * VOXEL_ML)
    assert len(report.lesions) == 1
    assert report.message == "1 lesion found"


def test_lesions_below_the_confidence_threshold_are_left_out_and_the_others_numbered_anew():
    chest = a_chest()
    large, small = block(SHAPE, *IN_LEFT), block(SHAPE, *IN_RIGHT)
    probability = chest.tumor.with_array(np.float32(0.8) * large + np.float32(0.9) * small)
    (kept,) = (report := reported(chest, maps=Maps(probability), min_confidence=0.85)).lesions
    assert (kept.number, kept.segment, kept.side) == (1, "Tumor 1", "Right")
    np.testing.assert_array_equal(report.labels.array, small)
    assert report.unsure_ml == pytest.approx([120 * VOXEL_ML]), "what was left out is known"
    assert len((both := reported(chest, maps=Maps(probability), min_confidence=0.79)).lesions) == 2
    assert both.unsure_ml == ()
    disagreement = chest.tumor.with_array(np.float32(0.1) * small)
    assert len(reported(chest, maps=Maps(probability, disagreement), min_confidence=0.79).lesions) == 2
    assert reported(chest, maps=Maps(probability, disagreement), min_confidence=0.81).lesions == ()
    assert len(reported(chest, min_confidence=1.0).lesions) == 2, "a mask alone says nothing about confidence"


def test_confidence_needs_probabilities():
    chest = a_chest()
    probability = chest.tumor.with_array(chest.tumor.array * np.float32(0.9))
    disagreement = chest.tumor.with_array(chest.tumor.array * np.float32(0.15))
    assert reported(chest).lesions[0].confidence is None
    assert reported(chest, maps=Maps(probability)).lesions[0].confidence == pytest.approx(0.9)
    both = Maps(probability, disagreement)
    assert reported(chest, maps=both).lesions[0].confidence == pytest.approx(0.75)


@pytest.mark.parametrize("name", ["tumor", "left_lung", "right_lung"])
def test_a_mask_on_another_grid_is_refused(name):
    chest, other = a_chest(), a_chest(origin=(-10.0, 7.0, -30.0))
    volumes = {n: getattr(other if n == name else chest, n) for n in ("tumor", "ct", "left_lung", "right_lung")}
    with pytest.raises(UnusableInput, match=f"The {name.replace('_', ' ')} does not lie on the CT's grid"):
        report_lesions(**volumes, min_lesion_ml=0.0)


def test_a_map_on_another_grid_is_refused():
    with pytest.raises(UnusableInput, match="The probability does not lie on the CT's grid"):
        reported(a_chest(), maps=Maps(a_chest(origin=(-10.0, 7.0, -30.0)).ct))


def segments_of(chest, **masks):
    lungs = {"Left lung": chest.left_lung.array, "Right lung": chest.right_lung.array}
    return [
        SimpleNamespace(name=name, terminology="", mask=chest.tumor.with_array(mask))
        for name, mask in (lungs | masks).items()
    ]


def test_each_segment_that_is_a_lesion_is_measured_under_its_own_name():
    chest = a_chest()
    both_pieces = chest.tumor.array
    report = measure(chest.ct, segments_of(chest, small=block(SHAPE, (20, 20, 50), (21, 21, 52)), large=both_pieces))
    assert [(x.number, x.segment, x.side) for x in report.lesions] == [(1, "large", "Left"), (2, "small", "Left")]
    assert report.lesions[0].volume_ml == pytest.approx(156 * VOXEL_ML)


def test_a_lesion_has_the_number_of_its_segment_in_table_and_labels():
    chest = a_chest()
    masks = {
        "Tumor 5": block(SHAPE, *IN_LEFT),
        "Nodule": block(SHAPE, *IN_RIGHT),
        "Tumor 2": block(SHAPE, (20, 20, 50), (21, 21, 52)),
    }
    report = measure(chest.ct, segments_of(chest, **masks))
    assert [(x.number, x.segment) for x in report.lesions] == [(5, "Tumor 5"), (6, "Nodule"), (2, "Tumor 2")]
    for lesion in report.lesions:
        np.testing.assert_array_equal(report.labels.array == lesion.number, masks[lesion.segment])


def test_numbers_beyond_the_label_map_give_way():
    chest = a_chest()
    segments = segments_of(chest, **{"Tumor 70000": block(SHAPE, *IN_LEFT), "Tumor 0": block(SHAPE, *IN_RIGHT)})
    assert [x.number for x in measure(chest.ct, segments).lesions] == [1, 2]


def test_overlapping_segments_are_measured_whole_and_the_smaller_one_is_seen():
    chest = a_chest()
    inner = block(SHAPE, (11, 11, 41), (12, 12, 44))
    report = measure(chest.ct, segments_of(chest, outer=chest.tumor.array, inner=inner))
    assert [x.volume_ml for x in report.lesions] == pytest.approx([156 * VOXEL_ML, 3 * VOXEL_ML])
    assert np.bincount(report.labels.array.ravel())[1:].tolist() == [153, 3]


def test_measuring_the_report_of_a_segmentation_gives_the_same_numbers():
    chest = a_chest()
    report = reported(chest)
    masks = {x.segment: report.labels.array == x.number for x in report.lesions}
    measured = measure(chest.ct, segments_of(chest, **masks)).lesions
    # measure isolates the lungs of the CT and so knows the carina, which the report was not given
    without_carina = [replace(x, location=replace(x.location, carina_mm=None)) for x in measured]
    assert without_carina == list(report.lesions)


def test_a_segment_stored_on_a_part_of_the_grid_is_put_in_its_place():
    chest = a_chest()
    segments = segments_of(chest)
    part = chest.tumor.crop((5, 6, 30), (20, 30, 60))
    report = measure(chest.ct, [*segments, SimpleNamespace(name="Tumor", terminology="", mask=part)])
    np.testing.assert_array_equal(report.labels.array > 0, block(SHAPE, *IN_LEFT))


@pytest.mark.parametrize("order", ORIENTATIONS[1::9], ids=str)
def test_a_segment_stored_along_other_axes_than_the_ct_is_put_in_its_place(order):
    chest = a_chest(turn_degrees=(14, -9, 25))
    segment = SimpleNamespace(
        name="Tumor", terminology="", mask=order.apply(chest.tumor.crop((5, 6, 30), (20, 30, 60)))
    )
    report = measure(chest.ct, [*segments_of(chest), segment])
    np.testing.assert_array_equal(report.labels.array > 0, block(SHAPE, *IN_LEFT))


@pytest.mark.parametrize(
    "geometry", [{"origin": (-10.8, 7.0, -30.0)}, {"spacing": (2.5, 0.8, 0.75)}, {"origin": (-81.0, 7.0, -30.0)}]
)
def test_a_segment_between_the_voxels_or_outside_is_refused(geometry):
    chest = a_chest()
    other = a_chest(**geometry).tumor
    with pytest.raises(UnusableInput, match="The segment Tumor does not lie on the CT's voxels"):
        measure(chest.ct, [SimpleNamespace(name="Tumor", terminology="", mask=other)])


def test_an_empty_segment_is_no_lesion():
    chest = a_chest()
    report = measure(chest.ct, segments_of(chest, empty=np.zeros(SHAPE, dtype=bool)))
    assert report.message == NO_LESION
    assert "These segments are empty and were not measured: empty." in report.warnings[0]
