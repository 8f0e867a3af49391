"""Metrics of cases and data sets, and the table."""

import csv
import json

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.terminology import TUMOR
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.evaluation import evaluate_case, evaluate_files, summarize
from LungTumorSegLib.evaluation.cases import missed_case
from LungTumorSegLib.evaluation.files import PROBABILITY, RESULT
from LungTumorSegLib.evaluation.overlap import SliceCounts
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.io.segmentations import NO_LESION
from volumes import SIX_ORIENTATIONS, affine_of, make_ct

SPACING_MM = (2.0, 1.0, 0.5)  # a voxel of 1 mm3
AFFINE = affine_of(spacing=SPACING_MM)
SHAPE = (5, 8, 10)


def a_volume(*boxes, affine=AFFINE):
    """Labels 1, 2 ... in boxes of (slices, rows, columns)."""
    labels = np.zeros(SHAPE, np.uint8)
    for number, box in enumerate(boxes, start=1):
        labels[tuple(slice(*ends) for ends in box)] = number
    return Volume(labels, affine)


TRUTH = a_volume(((1, 3), (2, 4), (2, 6)), ((4, 5), (6, 7), (1, 3)))  # 16 and 2 voxels
ANSWER = a_volume(((1, 3), (2, 4), (4, 8)), ((0, 1), (0, 1), (0, 3)))  # 16 voxels, 8 of them right, and 3 false ones
NOTHING = a_volume()


def test_a_case_by_hand():
    case = evaluate_case(ANSWER, TRUTH)
    assert case.dice_3d == pytest.approx(2 * 8 / (19 + 18))
    assert case.iou_3d == pytest.approx(8 / (19 + 18 - 8))
    np.testing.assert_allclose(case.slice_dices, [0, 0.5, 0.5, 1, 0])
    np.testing.assert_array_equal(case.tumor_slices, [False, True, True, False, True])
    assert case.slices == SliceCounts(true_positives=2, false_positives=1, true_negatives=1, false_negatives=1)
    assert case.detection.dices == (0.5, 0.0)
    assert case.detection.false_ml == (0.003,)
    assert case.candidates is None


@pytest.mark.parametrize("order", SIX_ORIENTATIONS)
def test_metrics_do_not_depend_on_how_the_volume_is_stored(order):
    here, there = (
        summarize([evaluate_case(ANSWER, TRUTH)]),
        summarize([evaluate_case(order.apply(ANSWER), order.apply(TRUTH))]),
    )
    assert there == pytest.approx(here)


def test_a_set_pools_slices_and_lesions_and_averages_cases():
    summary = summarize([evaluate_case(ANSWER, TRUTH), evaluate_case(TRUTH, TRUTH), evaluate_case(NOTHING, NOTHING)])
    assert summary["cases"] == 3
    assert summary["dice_3d"] == pytest.approx((16 / 37 + 1 + 1) / 3)
    assert summary["median_dice_3d"] == 1
    assert summary["dice_2d_all_slices"] == pytest.approx((2 + 5 + 5) / 15)
    assert summary["dice_2d_tumor_slices"] == pytest.approx((1 + 3) / 6)
    assert [summary[f"slice_{kind}"] for kind in ("tp", "fp", "tn", "fn")] == [5, 1, 8, 1]
    assert (summary["lesions"], summary["lesions_found"], summary["lesion_sensitivity"]) == (4, 3, 0.75)
    assert summary["median_lesion_dice"] == 0.75
    assert summary["false_positives_per_scan"] == pytest.approx(1 / 3)
    assert summary["false_positive_ml_per_scan"] == pytest.approx(0.001)
    assert summary["cases_with_surface_distances"] == 2
    assert summary["hd95_mm"] == pytest.approx(evaluate_case(ANSWER, TRUTH).hd95_mm / 2)


def test_an_empty_case_is_right_or_wrong_and_its_undefined_metrics_are_none():
    right, wrong = summarize([evaluate_case(NOTHING, NOTHING)]), summarize([evaluate_case(ANSWER, NOTHING)])
    assert (right["dice_3d"], right["dice_2d_all_slices"], right["false_positives"]) == (1, 1, 0)
    assert (wrong["dice_3d"], wrong["dice_2d_all_slices"], wrong["false_positives"]) == (0, 2 / 5, 2)
    undefined = (
        "dice_2d_tumor_slices",
        "hd95_mm",
        "mean_surface_distance_mm",
        "lesion_sensitivity",
        "median_lesion_dice",
        "slice_mcc",
    )
    assert [right[name] for name in undefined] == [wrong[name] for name in undefined] == [None] * 6


def test_another_grid_is_refused():
    with pytest.raises(UnusableInput, match="same grid"):
        evaluate_case(a_volume(affine=affine_of(spacing=(2.0, 1.0, 0.6))), TRUTH)


def test_a_froc_curve_needs_a_probability_map_of_every_case():
    probability = ANSWER.with_array((ANSWER.array > 0).astype(np.float32) * 0.8)
    with_map = evaluate_case(ANSWER, TRUTH, probability)
    summary = summarize([with_map, with_map])
    (point,) = summary["froc"]["curve"]
    assert point == {"threshold": pytest.approx(0.8), "sensitivity": 0.5, "false_positives_per_scan": 1.0}
    assert "froc" not in summarize([with_map, evaluate_case(ANSWER, TRUTH)])


def test_files_give_json_and_a_table(tmp_path):
    for folder, first in (("mine", ANSWER), ("truth", TRUTH)):
        (tmp_path / folder).mkdir()
        write_volume(first, tmp_path / folder / "one.nii.gz")
        write_volume(NOTHING, tmp_path / folder / "two.nii.gz")
    write_volume(NOTHING, tmp_path / "mine/three.nii.gz")
    metrics = json.loads(
        json.dumps(evaluate_files(tmp_path / "mine", tmp_path / "truth", tmp_path / "table.csv"), allow_nan=False)
    )
    assert metrics["cases"] == 2
    assert metrics["dice_3d"] == pytest.approx((16 / 37 + 1) / 2)
    assert metrics["without_reference"] == ["three"]
    assert [line["case"] for line in metrics["per_case"]] == ["one", "two"]
    with (tmp_path / "table.csv").open(newline="") as file:
        one, two = csv.DictReader(file)
    assert float(one["dice_3d"]) == pytest.approx(16 / 37)
    assert (one["slice_fn"], one["lesions_found"], two["hd95_mm"]) == ("1", "1", "")


def test_a_missing_prediction_counts_as_missed_lesions_and_improves_nothing(tmp_path):
    for folder, name, volume in (
        ("truth", "one", TRUTH), ("mine", "one", ANSWER), ("truth", "two", TRUTH), ("truth", "three", NOTHING),
    ):  # fmt: skip
        (tmp_path / folder).mkdir(exist_ok=True)
        write_volume(volume, tmp_path / folder / f"{name}.nii.gz")
    metrics = evaluate_files(tmp_path / "mine", tmp_path / "truth", tmp_path / "table.csv")
    alone = summarize([evaluate_case(ANSWER, TRUTH)])
    assert metrics["without_prediction"] == ["three", "two"]
    assert metrics["warnings"][0].startswith(
        f"{tmp_path / 'mine'} contains no prediction for three, two; their lesions"
    )
    assert (metrics["cases"], metrics["lesions"]) == (2, 2 * alone["lesions"])
    for name in ("dice_3d", "iou_3d", "dice_2d_tumor_slices", "lesion_sensitivity"):
        assert metrics[name] == pytest.approx(alone[name] / 2), name
    worse = [metrics[name] < alone[name] for name in ("dice_2d_all_slices", "slice_f1", "slice_mcc")]
    assert worse == [True] * 3
    for name in ("slice_false_positive_rate", "slice_tn", "false_positives_per_scan", "false_positive_ml_per_scan"):
        assert metrics[name] == alone[name], name
    with (tmp_path / "table.csv").open(newline="") as file:
        one, two = csv.DictReader(file)
    assert (one["note"], two["note"]) == ("", "no prediction: all lesions count as missed")
    assert (two["case"], float(two["dice_3d"]), two["lesions_found"]) == ("two", 0.0, "0")


def test_a_missing_prediction_lowers_the_froc_curve(tmp_path):
    probability = ANSWER.with_array((ANSWER.array > 0).astype(np.float32) * 0.8)
    (point,) = summarize([evaluate_case(ANSWER, TRUTH, probability), missed_case(TRUTH)])["froc"]["curve"]
    assert (point["sensitivity"], point["false_positives_per_scan"]) == (0.25, 1.0)


def test_the_froc_curve_is_drawn_beside_the_table(tmp_path):
    write_segmentation(
        [Segment("Tumor 1", ANSWER.with_array(ANSWER.array > 0), (1, 0, 0), TUMOR["Left"])], tmp_path / RESULT
    )
    write_volume(ANSWER.with_array((ANSWER.array > 0) * np.float32(0.8)), tmp_path / PROBABILITY)
    write_volume(TRUTH, tmp_path / "truth.nii.gz")
    metrics = evaluate_files(tmp_path, tmp_path / "truth.nii.gz", tmp_path / "table.csv")
    assert metrics["froc"]["score"] == pytest.approx(
        (0.125 + 0.25 + 4 * 0.5) / 6
    )  # on the line from nothing to one lesion and one false
    assert "sensitivity" in (tmp_path / "table-froc.svg").read_text()


def test_the_case_that_cannot_be_compared_is_named_among_several(tmp_path):
    for name, mine in (("anna", TRUTH), ("ben", TRUTH.crop((0, 0, 0), (4, 8, 10)))):
        for folder, volume in (("theirs", TRUTH), ("mine", mine)):
            (tmp_path / folder).mkdir(exist_ok=True)
            write_volume(volume, tmp_path / folder / f"{name}.nii.gz")
    with pytest.raises(UnusableInput, match=r"^ben: .*mine.ben\.nii\.gz does not lie on the grid"):
        evaluate_files(tmp_path / "mine", tmp_path / "theirs")
    with pytest.raises(UnusableInput, match=r"^\S*mine.ben\.nii\.gz does not lie on the grid"):
        evaluate_files(tmp_path / "mine/ben.nii.gz", tmp_path / "theirs/ben.nii.gz")


def test_files_without_a_lesion_are_named(tmp_path):
    for name, volume in (("p.nii.gz", NOTHING), ("r.nii.gz", TRUTH)):
        write_volume(volume, tmp_path / name)
    metrics = evaluate_files(tmp_path / "p.nii.gz", tmp_path / "r.nii.gz")
    assert metrics["warnings"] == [f"{tmp_path / 'p.nii.gz'}: {NO_LESION}"]


def test_reading_the_ct_is_told(tmp_path):
    write_volume(make_ct(), tmp_path / "ct.nrrd")
    write_volume(TRUTH, tmp_path / "r.nrrd")
    stages = []
    evaluate_files(
        tmp_path / "r.nrrd", tmp_path / "r.nrrd", None, lambda step: stages.append(step.stage), ct=tmp_path / "ct.nrrd"
    )
    assert stages[0] == "reading"
