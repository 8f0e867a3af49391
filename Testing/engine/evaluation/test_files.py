"""What is compared with what: single files, data sets, result folders; grids are checked."""

import json

import numpy as np
import pytest
from chests import block
from commands import run_command
from dicom_seg_files import write_dicom_seg
from dicom_series import write_dicom_series
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.terminology import LEFT_LUNG, TUMOR
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.evaluation import evaluate_files
from LungTumorSegLib.evaluation.files import Pair, find_pairs, label_doubts, read_pair
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segment import Segment
from rtstruct_files import write_rtstruct
from volumes import ORIENTATIONS, affine_of, make_ct

SHAPE = (6, 7, 9)
AFFINE = affine_of(turn_degrees=(4, -3, 7))


def a_label_map(dtype=np.uint8):
    labels = np.zeros(SHAPE, dtype)
    labels[1:3, 2:5, 3:7], labels[4, 1, 1:4] = 1, 2
    return Volume(labels, AFFINE)


def write(volume, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(volume, path)
    return path


def segments_of(volume):
    """A lung, which must not count, over everything; and the lesions."""
    lung = Segment("Left lung", volume.with_array(np.ones(volume.shape, bool)), (0, 0, 1), LEFT_LUNG)
    tumors = [Segment(f"Tumor {n}", volume.with_array(volume.array == n), (1, 0, 0), TUMOR["Left"]) for n in (1, 2)]
    return [lung, *tumors]


def test_two_files_are_one_case_named_after_the_reference(tmp_path):
    prediction, reference = (
        write(a_label_map(), tmp_path / "mine.nrrd"),
        write(a_label_map(), tmp_path / "theirs.nii.gz"),
    )
    assert find_pairs(prediction, reference) == ([Pair("theirs", prediction, reference)], {}, [])


def test_folders_are_matched_by_name_whatever_the_suffix(tmp_path):
    reference_a = write(a_label_map(), tmp_path / "truth/a.nii.gz")
    reference_b = write(a_label_map(), tmp_path / "truth/b.nrrd")
    prediction_a = tmp_path / "mine/a.seg.nrrd"
    write(a_label_map(), prediction_a.parent / "c.nii.gz")
    write_segmentation(segments_of(a_label_map()), prediction_a)
    result_b = tmp_path / "mine/b/segmentation.seg.nrrd"
    result_b.parent.mkdir()
    write_segmentation(segments_of(a_label_map()), result_b)
    (tmp_path / "mine/notes.txt").write_text("not a case")
    pairs, missing, unmatched = find_pairs(tmp_path / "mine", tmp_path / "truth")
    assert missing == {}
    assert pairs == [Pair("a", prediction_a, reference_a), Pair("b", result_b, reference_b)]
    assert unmatched == ["c"]


def test_what_batch_writes_is_compared_by_case(tmp_path):
    cohort, references = tmp_path / "cohort", tmp_path / "references"
    for case in ("A", "B"):
        (cohort / case).mkdir(parents=True)
        (cohort / ".batch" / case).mkdir(parents=True)
        write_segmentation(segments_of(a_label_map()), cohort / case / "segmentation.seg.nrrd")
        write(a_label_map(), references / f"{case}.nii.gz")
    for table in ("cohort.csv", "lesions.csv", "overview.html"):
        (cohort / table).write_text("case\nA\nB\n")
    metrics = json.loads(run_command("evaluate", cohort, references))
    assert [(row["case"], row["dice_3d"]) for row in metrics["per_case"]] == [("A", 1.0), ("B", 1.0)]
    for number in range(7):
        write(a_label_map(), references / f"refused-{number}.nii.gz")
    metrics = json.loads(run_command("evaluate", cohort, references))
    assert metrics["without_prediction"] == [f"refused-{number}" for number in range(7)]
    assert (metrics["lesions"], metrics["lesions_found"]) == (18, 4)


def test_detached_headers_and_suffixes_in_capitals_are_cases(tmp_path):
    for name in ("truth/a.mhd", "truth/a.raw", "mine/a.NII"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    pairs, _, unmatched = find_pairs(tmp_path / "mine", tmp_path / "truth")
    assert pairs == [Pair("a", tmp_path / "mine/a.NII", tmp_path / "truth/a.mhd")]
    assert unmatched == []


def test_references_none_of_which_has_a_prediction_are_an_error(tmp_path):
    for number in range(7):
        write(a_label_map(), tmp_path / f"truth/a{number}.nii.gz")
    write(a_label_map(), tmp_path / "mine/b.nii.gz")
    with pytest.raises(UnusableInput, match=r"no prediction for a0, .*a4, and 2 more; name each .* result folder "):
        find_pairs(tmp_path / "mine", tmp_path / "truth")


def test_a_structure_set_without_a_prediction_is_an_error(tmp_path):
    write(a_label_map(), tmp_path / "truth/a.nii.gz")
    write(a_label_map(), tmp_path / "mine/a.nii.gz")
    write_rtstruct(tmp_path / "truth/b.dcm", {"GTV": [np.array([[0.0, 0, 0], [9, 0, 0], [9, 9, 0]])]})
    with pytest.raises(UnusableInput, match=r"b\.dcm has no prediction, and without one the contours of a structure"):
        evaluate_files(tmp_path / "mine", tmp_path / "truth")


def test_what_cannot_be_matched_is_an_error(tmp_path):
    file = write(a_label_map(), tmp_path / "data/a.nii.gz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnusableInput, match="two files or two folders"):
        find_pairs(file, tmp_path / "data")
    with pytest.raises(UnusableInput, match="contains no segmentations"):
        find_pairs(tmp_path / "empty", tmp_path / "data")
    with pytest.raises(UnusableInput, match="nowhere does not exist"):
        find_pairs(tmp_path / "nowhere", tmp_path / "data")
    write(a_label_map(), tmp_path / "data/a.nrrd")
    with pytest.raises(UnusableInput, match="have the same name"):
        find_pairs(tmp_path / "data", tmp_path / "data")


def test_the_lesion_segments_of_a_segmentation_count_and_its_lung_does_not(tmp_path):
    write_segmentation(segments_of(a_label_map()), tmp_path / "p.seg.nrrd")
    reference = write(a_label_map(), tmp_path / "r.nii.gz")
    prediction, truth, probability = read_pair(Pair("r", tmp_path / "p.seg.nrrd", reference))
    np.testing.assert_array_equal(prediction.array, truth.array)
    assert probability is None


@pytest.mark.parametrize("name", ["renamed.nrrd", "renamed.seg.nhdr", "renamed.nii.gz", "renamed"])
def test_a_segmentation_is_known_by_its_content_whatever_its_name(tmp_path, name):
    write_segmentation(segments_of(a_label_map()), tmp_path / "a.seg.nrrd")
    (tmp_path / "a.seg.nrrd").rename(tmp_path / name)
    reference = write(a_label_map(), tmp_path / "reference.nii.gz")
    prediction, truth, _ = read_pair(Pair("a", tmp_path / name, reference))
    assert np.array_equal(prediction.array > 0, truth.array > 0), "the lung does not count"


def test_a_segmentation_without_lesions_is_an_empty_prediction(tmp_path):
    write_segmentation(segments_of(a_label_map())[:1], tmp_path / "p.seg.nrrd")
    write_segmentation([], tmp_path / "none.seg.nrrd", grid=a_label_map().grid)
    reference = write(a_label_map(), tmp_path / "r.nii.gz")
    for name in ("p", "none"):
        prediction, truth, _ = read_pair(Pair("r", tmp_path / f"{name}.seg.nrrd", reference))
        assert not prediction.array.any()
        assert prediction.shape == truth.shape


def test_a_segmentation_that_slicer_cropped_is_put_back(tmp_path):
    whole = a_label_map()
    write_segmentation(segments_of(whole.crop((1, 1, 1), (5, 6, 8))), tmp_path / "cropped.seg.nrrd")
    label_map = write(whole, tmp_path / "r.nii.gz")
    for pair in (
        Pair("", tmp_path / "cropped.seg.nrrd", label_map),
        Pair("", label_map, tmp_path / "cropped.seg.nrrd"),
    ):
        prediction, truth, _ = read_pair(pair)
        assert prediction.same_grid(truth)
        np.testing.assert_array_equal(prediction.array > 0, truth.array > 0)


def test_a_label_map_of_another_size_or_place_is_refused(tmp_path):
    whole = a_label_map()
    reference = write(whole, tmp_path / "r.nii.gz")
    shifted = AFFINE.copy()
    shifted[:3, 3] += 0.4
    for other in (whole.crop((0, 0, 0), (5, 7, 9)), Volume(whole.array, shifted)):
        with pytest.raises(UnusableInput, match=r"does not lie on the grid of .*r\.nii\.gz"):
            read_pair(Pair("r", write(other, tmp_path / "p.nii.gz"), reference))
    moved = Volume(whole.array, shifted).crop((1, 1, 1), (5, 6, 8))
    write_segmentation(segments_of(moved), tmp_path / "p.seg.nrrd")
    with pytest.raises(UnusableInput, match="does not lie on the grid"):
        read_pair(Pair("r", tmp_path / "p.seg.nrrd", reference))


@pytest.mark.parametrize("order", ORIENTATIONS[::7])
def test_the_same_mask_stored_along_other_axes_is_the_same(tmp_path, order):
    reference, prediction = (
        write(a_label_map(), tmp_path / "r.nrrd"),
        write(order.apply(a_label_map()), tmp_path / "p.nrrd"),
    )
    found, truth, _ = read_pair(Pair("r", prediction, reference))
    np.testing.assert_array_equal(found.array, truth.array)


def test_a_probability_map_is_no_label_map(tmp_path):
    reference = write(a_label_map(), tmp_path / "r.nrrd")
    prediction = write(a_label_map().with_array(np.full(SHAPE, 0.25, np.float32)), tmp_path / "p.nrrd")
    with pytest.raises(UnusableInput, match="are not labels"):
        read_pair(Pair("r", prediction, reference))


def test_the_probability_map_of_a_result_folder_comes_along(tmp_path):
    write_segmentation(segments_of(a_label_map()), tmp_path / "segmentation.seg.nrrd")
    chance = np.random.default_rng(2).random(SHAPE).astype(np.float32)
    write(a_label_map().with_array(chance), tmp_path / "probability.nrrd")
    reference = write(a_label_map(), tmp_path / "r.nii.gz")
    pairs, *_ = find_pairs(tmp_path, reference)
    _, _, probability = read_pair(pairs[0])
    np.testing.assert_array_equal(probability.array, chance)


def test_two_segmentations_cropped_differently_meet_on_one_grid(tmp_path):
    whole = a_label_map()
    write_segmentation(segments_of(whole.crop((1, 1, 1), (6, 6, 9))), tmp_path / "p.seg.nrrd")
    write_segmentation(segments_of(whole.crop((0, 0, 0), (5, 7, 7))), tmp_path / "r.seg.nrrd")
    prediction, truth, _ = read_pair(Pair("r", tmp_path / "p.seg.nrrd", tmp_path / "r.seg.nrrd"))
    assert prediction.same_grid(truth)
    np.testing.assert_array_equal(prediction.array > 0, truth.array > 0)


@pytest.mark.parametrize("margin", [0, 2])
def test_a_label_map_rounded_in_its_header_or_with_a_margin_is_compared(tmp_path, margin):
    whole = a_label_map()
    affine = np.round(AFFINE, 4)
    affine[:3, 3] = whole.index_to_lps((-margin, -margin, -margin)) + 0.005
    write(Volume(np.pad(whole.array, margin), affine), tmp_path / "p.nrrd")
    found, truth, _ = read_pair(Pair("r", tmp_path / "p.nrrd", write(whole, tmp_path / "r.nrrd")))
    np.testing.assert_array_equal(found.array, truth.array)


def test_dicom_segmentations_and_structure_sets_are_compared(tmp_path):
    ct = make_ct()
    files = write_dicom_series(ct, tmp_path / "ct")
    mask = block(ct.shape, (2, 3, 4), (5, 7, 9))
    write_dicom_seg(tmp_path / "seg.dcm", files, [("GTV", "lesion", mask)])
    corners = np.array([(2.5, 3.5), (2.5, 8.5), (6.5, 8.5), (6.5, 3.5)])
    contours = [ct.index_to_lps(np.column_stack([np.full(4, k), corners])) for k in (2, 3, 4)]
    write_rtstruct(tmp_path / "rs.dcm", {"GTV": contours, "Heart": contours})
    write(ct.with_array(mask.astype(np.uint8)), tmp_path / "map.nrrd")
    for prediction, reference in (
        ("seg.dcm", "map.nrrd"), ("map.nrrd", "rs.dcm"), ("rs.dcm", "map.nrrd"), ("seg.dcm", "rs.dcm"),
        ("rs.dcm", "seg.dcm"),
    ):  # fmt: skip
        found, truth, _ = read_pair(Pair("", tmp_path / prediction, tmp_path / reference))
        np.testing.assert_array_equal(found.array > 0, truth.array > 0)
        assert np.count_nonzero(found.array) == np.count_nonzero(mask)


def test_two_structure_sets_are_compared_on_their_ct(tmp_path):
    ct = make_ct()
    write_dicom_series(ct, tmp_path / "ct")
    corners = np.array([(2.5, 3.5), (2.5, 8.5), (6.5, 8.5), (6.5, 3.5)])
    for name, slices in (("one", (2, 3, 4)), ("other", (3, 4, 5, 6))):
        contours = [ct.index_to_lps(np.column_stack([np.full(4, k), corners])) for k in slices]
        write_rtstruct(tmp_path / f"{name}.dcm", {"GTV": contours})
    files = tmp_path / "one.dcm", tmp_path / "other.dcm"
    metrics = evaluate_files(*files, ct=tmp_path / "ct")
    assert metrics["dice_3d"] == pytest.approx(2 * 2 / (3 + 4))
    assert metrics["slice_tn"] == ct.shape[0] - 5
    with pytest.raises(UnusableInput, match=r"are structure sets, .*; add --ct CT\."):
        evaluate_files(*files)


def test_a_structure_set_may_reach_beyond_a_segmentation_if_the_ct_is_given(tmp_path):
    ct = make_ct()
    files = write_dicom_series(ct, tmp_path / "ct")
    write_dicom_seg(tmp_path / "seg.dcm", files, [("GTV", "lesion", block(ct.shape, (2, 3, 4), (4, 7, 9)))])
    corners = np.array([(2.5, 3.5), (2.5, 8.5), (6.5, 8.5), (6.5, 3.5)])
    contours = [ct.index_to_lps(np.column_stack([np.full(4, k), corners])) for k in (2, 3, 4, 5)]
    write_rtstruct(tmp_path / "rs.dcm", {"GTV": contours})
    metrics = evaluate_files(tmp_path / "seg.dcm", tmp_path / "rs.dcm", ct=tmp_path / "ct")
    assert metrics["dice_3d"] == pytest.approx(2 * 2 / (2 + 4))


def test_one_ct_is_not_that_of_a_folder(tmp_path):
    for folder in ("mine", "truth"):
        write(a_label_map(), tmp_path / folder / "a.nrrd")
    with pytest.raises(UnusableInput, match=r"is the CT of one case, but .*truth is a folder"):
        evaluate_files(tmp_path / "mine", tmp_path / "truth", ct=tmp_path / "mine" / "a.nrrd")


def test_labels_of_lungs_are_doubted():
    lesion, lungs = np.zeros((2, 40, 100, 100), bool)
    lesion[18:22, 40:50, 40:50] = lungs[10:30, 10:90, 60:] = True
    hu = np.full(lesion.shape, 40, np.int16)
    hu[lungs] = -850
    small, large = (Volume(np.where(lungs, 2, lesion).astype(np.uint16), np.diag([mm, mm, mm, 1.0])) for mm in (1, 3))
    assert not list(label_doubts(small))
    (size,) = label_doubts(large)
    assert size.startswith("Label 2 measures 1728 mL, more than any lung tumor, but counts as a lesion")
    (air,) = label_doubts(small, small.with_array(hu))
    assert "Label 2 is mostly air (median -850 HU)" in air


def test_evaluation_says_which_file_holds_lungs(tmp_path):
    lungs = np.zeros((20, 60, 60), np.uint8)
    lungs[2:18, 5:55, 5:55] = 1
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(Volume(lungs, np.diag([5.0, 3.0, 3.0, 1.0])), tmp_path / name)
    warnings = evaluate_files(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")["warnings"]
    assert [each.split(":")[0] for each in warnings] == [str(tmp_path / name) for name in ("a.nii.gz", "b.nii.gz")]


def test_a_ct_beside_the_segmentations_is_doubted(tmp_path):
    ct = make_ct()
    labels = ct.with_array(block(ct.shape, (2, 3, 4), (4, 7, 9)).astype(np.uint8))
    beside = Volume(labels.array, labels.affine @ np.diag([1, 1, 1.2, 1]))
    files = [write(volume, tmp_path / name) for volume, name in ((labels, "on.nrrd"), (beside, "beside.nrrd"))]
    write(ct, tmp_path / "ct.nrrd")
    for file in files:
        warnings = evaluate_files(file, file, ct=tmp_path / "ct.nrrd")["warnings"]
        doubts = [each for each in warnings if each.startswith("The CT was not used: ")]
        assert bool(doubts) == (file.name == "beside.nrrd")
        assert all("beside.nrrd does not lie on the voxels of the CT: its voxels measure" in each for each in doubts)


def test_the_reason_of_a_single_case_has_no_name_in_front_of_it(tmp_path):
    whole = write(a_label_map(), tmp_path / "one" / "a.nrrd")
    shares = write(a_label_map().with_array(np.full(SHAPE, 0.5, np.float32)), tmp_path / "other" / "a.nrrd")
    with pytest.raises(UnusableInput) as refused:
        evaluate_files(whole, shares)
    assert str(refused.value).startswith("The values of ")
    for folder in (whole.parent, shares.parent):
        write(a_label_map(), folder / "b.nrrd")
    with pytest.raises(UnusableInput, match=r"^a: The values of "):
        evaluate_files(whole.parent, shares.parent)
