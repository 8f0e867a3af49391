"""What makes it doubtful that a segment is a lesion."""

from types import SimpleNamespace

import numpy as np
import pytest
from chests import block
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.lesions import measure
from LungTumorSegLib.lesions.doubts import threshold_doubts
from volumes import affine_of

SHAPE = (12, 80, 80)
AFFINE = affine_of((5.0, 4.0, 4.0))


def a_ct():
    """A body of 40 HU in air, with two lungs of -850 HU."""
    array = np.full(SHAPE, -1000, np.int16)
    array[:, 15:65, 10:70] = 40
    left, right = block(SHAPE, (1, 25, 45), (11, 55, 65)), block(SHAPE, (1, 25, 15), (11, 55, 35))
    array[left | right] = -850
    return array, (Volume(left, AFFINE), Volume(right, AFFINE))


def warnings_of(name, mask, hu, *, right_lung=1.0):
    """Return the warnings about a segment, if ``right_lung`` is the share of the right lung that was found."""
    array, lungs = a_ct()
    lungs[1].array[round(right_lung * SHAPE[0]) :] = False
    if hu is not None:
        array[mask] = hu
    segment = SimpleNamespace(name=name, terminology="", mask=Volume(mask, AFFINE))
    report = measure(CTVolume(array, AFFINE), [segment], lungs=lungs)
    assert len(report.lesions) == 1
    return " ".join(report.warnings)


def test_a_tumor_in_the_lung_is_not_doubted():
    assert warnings_of("Tumor 1", block(SHAPE, (4, 35, 50), (7, 42, 58)), 40) == ""


@pytest.mark.parametrize(
    ("start", "stop", "hu", "words"),
    [
        ((0, 15, 10), (12, 65, 70), None, "is larger than a lung"),
        ((4, 35, 50), (7, 42, 58), None, "is mostly air"),
        ((0, 2, 30), (12, 10, 50), 40, "lies outside the body"),
        ((0, 0, 0), (12, 80, 80), None, "is larger than a lung"),
        ((0, 0, 0), (12, 80, 80), None, "fills 100% of the CT"),
    ],
)
def test_what_speaks_against_a_lesion_is_warned_of(start, stop, hu, words):
    said = warnings_of("Blue thing", block(SHAPE, start, stop), hu)
    assert "The segment Blue thing" in said
    assert words in said


@pytest.mark.parametrize("right_lung", [0.0, 0.2])
def test_a_remnant_of_a_lung_is_no_measure_of_lesions(right_lung):
    tumor = block(SHAPE, (2, 27, 47), (11, 52, 62))
    assert warnings_of("Tumor 1", tumor, 40, right_lung=right_lung) == ""
    assert "is larger than a lung" in warnings_of("Tumor 1", block(SHAPE, (0, 15, 10), (12, 65, 70)), 40, right_lung=0)


TUMOR = block(SHAPE, (2, 35, 50), (9, 42, 58))


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (range(0, 12, 2), "is empty in 3 slices between slices that it fills"),
        ([2, 3, 4, 6, 7, 8], "is empty in 1 slice between"),
        ([2, 7], "is empty in 4 slices between"),
        ([5], "fills a single slice, although it is 42 mm wide and the slices are 5.0 mm apart"),
    ],
)
def test_a_lesion_that_was_not_outlined_in_all_slices_is_warned_of(kept, words):
    mask = np.zeros(SHAPE, bool)
    mask[kept] = TUMOR[kept]
    said = warnings_of("Tumor 1", mask, 40)
    assert f"The segment Tumor 1 {words}" in said
    assert "its volume is probably too small" in said


def test_parts_of_a_lesion_that_lie_elsewhere_or_far_apart_are_not_taken_for_forgotten_slices():
    beside = block(SHAPE, (2, 30, 48), (4, 36, 54)) | block(SHAPE, (6, 44, 57), (8, 50, 63))
    far = block(SHAPE, (1, 35, 50), (3, 42, 58)) | block(SHAPE, (9, 35, 50), (11, 42, 58))
    small = block(SHAPE, (5, 38, 52), (6, 40, 54))
    assert [warnings_of("Tumor 1", mask, 40) for mask in (beside, far, small)] == ["", "", ""]


def test_a_segmentation_without_a_lesion_is_warned_of():
    array, lungs = a_ct()
    heart = SimpleNamespace(name="Heart", terminology="", mask=lungs[0])
    report = measure(CTVolume(array, AFFINE), [heart], lungs=lungs)
    assert report.lesions == ()
    assert report.warnings == (
        "No segment has the terminology or the name of a lesion (Heart), so no lesion was measured; rename a segment "
        "that is one.",
    )


@pytest.mark.parametrize(
    ("volumes_ml", "expected"),
    [
        ((), []),
        ((0.4,), []),
        ((2.5, 0.4), ["1 candidate below the confidence threshold of 0.3 is not shown (2.5 mL)."]),
        ((2.5, 0.6), ["2 candidates below the confidence threshold of 0.3 are not shown (largest: 2.5 mL)."]),
    ],
)
def test_candidates_below_the_threshold_are_warned_of_unless_they_are_small(volumes_ml, expected):
    assert [each.partition(" Lower")[0] for each in threshold_doubts(volumes_ml, 0.3)] == expected


@pytest.mark.parametrize(
    ("start", "stop", "shared"),
    [
        ((4, 35, 50), (7, 42, 58), "13.4 mL"),  # the same lesion twice
        ((4, 36, 51), (6, 41, 57), "4.8 mL"),  # one within the other
        ((6, 41, 57), (9, 48, 65), ""),  # a corner
        ((7, 35, 50), (9, 42, 58), ""),  # side by side
    ],
)
def test_lesions_that_share_their_voxels_are_told(start, stop, shared):
    array, lungs = a_ct()
    masks = {"GTV": block(SHAPE, (4, 35, 50), (7, 42, 58)), "Nodule": block(SHAPE, start, stop)}
    for mask in masks.values():
        array[mask] = 40
    segments = [SimpleNamespace(name=name, terminology="", mask=Volume(mask, AFFINE)) for name, mask in masks.items()]
    report = measure(CTVolume(array, AFFINE), segments, lungs=lungs)
    assert len(report.lesions) == 2
    assert bool(report.warnings) == bool(shared)
    assert all(f"GTV and Nodule ({shared})" in warning for warning in report.warnings)


def test_lesions_of_one_name_are_warned_of():
    array, lungs = a_ct()
    masks = block(SHAPE, (4, 35, 50), (7, 42, 58)), block(SHAPE, (4, 35, 20), (7, 42, 28))
    for mask in masks:
        array[mask] = 40
    for names, warned in ((("Nodule", "Nodule"), True), (("Nodule", "nodule"), False)):
        segments = [
            SimpleNamespace(name=name, terminology="", mask=Volume(mask, AFFINE))
            for name, mask in zip(names, masks, strict=True)
        ]
        warnings = measure(CTVolume(array, AFFINE), segments, lungs=lungs).warnings
        assert any("have the same name (Nodule)" in each for each in warnings) == warned
