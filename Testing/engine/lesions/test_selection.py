"""Which segments are measured."""

from types import SimpleNamespace

import pytest
from LungTumorSegLib.core.terminology import BODY, ISOLATION_MASK, LEFT_LUNG, RIGHT_LUNG, TUMOR, UNSPECIFIED
from LungTumorSegLib.lesions.selection import is_lesion, lung_segments


def a_segment(name, terminology="", mask=None):
    return SimpleNamespace(name=name, terminology=terminology, mask=mask)


LESIONS = (
    "Tumor 1",
    "Segment_1",
    "Lung tumor",
    "lung_nodule_left",
    "Right lung cancer",
    "GTV-1",
    "Mass in the left lung",
    "Antibody",
    "",
)
OTHERS = (
    "Left lung",
    "LEFT LUNG",
    "right_lung",
    "LungLeft",
    "Lungs",
    "lung-1",
    "lung_upper_lobe_left",
    "Body",
    "Body mask",
    "Isolation mask",
    "Tumor 1 margin 5 mm",
    "Margin",
)


@pytest.mark.parametrize("name", LESIONS)
def test_these_names_are_lesions(name):
    assert is_lesion(a_segment(name))
    assert is_lesion(a_segment(name, UNSPECIFIED))
    assert is_lesion(a_segment(name, TUMOR["Left"]))


@pytest.mark.parametrize("name", OTHERS)
def test_these_names_are_none(name):
    assert not is_lesion(a_segment(name))
    assert not is_lesion(a_segment(name, TUMOR["Left"]))


@pytest.mark.parametrize("terminology", [LEFT_LUNG, RIGHT_LUNG, BODY])
def test_a_renamed_organ_is_known_by_its_terminology(terminology):
    assert not is_lesion(a_segment("Blue thing", terminology))


def test_a_tumor_whose_region_is_the_lung_is_a_lesion():
    assert "Lung" in TUMOR["Right"]
    assert is_lesion(a_segment("Blue thing", TUMOR["Right"]))


@pytest.mark.parametrize("terminology", ["~", "a~b~c", "no entry at all", "~".join(["^^"] * 7)])
def test_a_damaged_terminology_says_nothing(terminology):
    assert is_lesion(a_segment("Tumor", terminology))


def test_lungs_are_found_by_name_and_need_both_sides():
    left, right = a_segment("Left lung", LEFT_LUNG, "left mask"), a_segment("lung_right", "", "right mask")
    others = [
        a_segment("Left lung nodule", "", "no"),
        a_segment("Right lung margin", "", "no"),
        a_segment("Lungs", "", "no"),
    ]
    assert lung_segments([*others, right, left]) == ("left mask", "right mask")
    assert lung_segments([*others, left]) is None


def test_the_isolation_mask_is_no_lesion():
    assert not is_lesion(a_segment("Isolation mask", ISOLATION_MASK))


@pytest.mark.parametrize(("review", "expected"), [("", True), ("confirmed", True), ("rejected", False)])
def test_what_a_person_has_rejected_is_no_lesion(review, expected):
    segment = a_segment("Tumor 1", TUMOR["Left"])
    segment.review = review
    assert is_lesion(segment) is expected
    lung = a_segment("Left lung", LEFT_LUNG, "left mask")
    lung.review = review
    assert lung_segments([lung, a_segment("Right lung", RIGHT_LUNG, "right mask")]) == ("left mask", "right mask")
