"""Which segments are measured."""

from types import SimpleNamespace

import pytest
from LungTumorSegLib.core.selection import contradiction, is_lesion, lung_segments, selection_doubts
from LungTumorSegLib.core.terminology import (
    ANATOMICAL,
    BODY,
    ISOLATION_MASK,
    LEFT_LUNG,
    MORPHOLOGICALLY_ALTERED,
    RIGHT_LUNG,
    TUMOR,
    UNSPECIFIED,
    category_of,
    entry_of_codes,
    entry_without_code,
    type_meaning,
)


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


ANATOMY = ("123037004", "Anatomical Structure")
ORGANS = ("Heart", "Aorta", "Liver", "Trachea", "Esophagus")


@pytest.mark.parametrize("organ", ORGANS)
@pytest.mark.parametrize("name", ["Blue thing", "Segment_3"])
def test_an_anatomical_structure_is_no_lesion_whatever_its_name(organ, name):
    entry = entry_of_codes(("SCT", *ANATOMY), ("SCT", "1", organ))
    assert not is_lesion(a_segment(name, entry))
    assert not is_lesion(
        a_segment(name, entry_of_codes(("SRT", "T-D000A", "Anatomical Structure"), ("SRT", "T-1", organ)))
    )


@pytest.mark.parametrize(
    "category", [("309825002", "Spatial and Relational Concept"), ("260787004", "Physical object"), ("1", "Substance")]
)
def test_a_category_of_something_else_is_no_lesion(category):
    assert not is_lesion(a_segment("Segment_1", entry_of_codes(("SCT", *category), ("SCT", "2", "Anything"))))


@pytest.mark.parametrize(
    "name",
    [*ORGANS, "trachea", "Background", "lung_lower_lobe_left", "spinal_cord", "Spinal-Cord", "PTV", "CTV 60",
        "vertebrae_T4",
     "rib_left_3", "pulmonary_vein", "External", "Couch", "inferior_vena_cava", "Air", "patient", "Fissure_L",
     "Pleura"],
)  # fmt: skip
def test_without_a_category_the_name_of_an_organ_is_no_lesion(name):
    assert not is_lesion(a_segment(name))
    assert not is_lesion(a_segment(name, UNSPECIFIED))


@pytest.mark.parametrize(
    "name",
    ["Lungs-GTV", "Lung_L-GTV", "Lung - GTV", "LUNG-GTV", "Lungs minus GTV", "Lung wo tumor", "Lunge ohne Tumor",
     "GTV+5mm", "GTV_p + 0.5 cm"],
)  # fmt: skip
def test_lungs_without_the_tumor_and_tumors_with_a_margin_are_no_lesions_unless_they_are_described_as_such(name):
    assert not is_lesion(a_segment(name))
    assert not is_lesion(a_segment(name, UNSPECIFIED))
    assert is_lesion(a_segment(name, TUMOR["Left"]))
    both = [a_segment(f"{side} {name}", "", side) for side in ("left", "right")]
    assert lung_segments(both) is None


@pytest.mark.parametrize("name", ["Lung_GTV", "GTV lung", "Lung-Tumor 2", "GTV1+2", "GTVp+n", "GTV-1", "Lung GTV - 2"])
def test_a_hyphen_or_plus_alone_takes_no_lesion_away(name):
    assert is_lesion(a_segment(name))


@pytest.mark.parametrize(
    "name", ["Liver metastasis", "Rib mass", "Tumor at the aorta", "GTVp", "Hilar node", "Segment_1"]
)
def test_a_name_that_says_lesion_or_nothing_is_a_lesion(name):
    assert is_lesion(a_segment(name))


def test_a_tumor_by_its_terminology_is_one_whatever_organ_its_name_says():
    assert is_lesion(a_segment("next to the aorta", TUMOR["Left"]))


@pytest.mark.parametrize("name", ["Lung right (edited)", "Right lung copy", "Blue thing"])
def test_a_renamed_lung_is_no_lesion(name):
    assert not is_lesion(a_segment(name, RIGHT_LUNG))


def test_a_lobe_does_not_stand_for_its_lung():
    lobes = [a_segment(f"lung_{part}_lobe_{side}") for part in ("upper", "lower") for side in ("left", "right")]
    assert lung_segments(lobes) is None


def test_name_and_terminology_that_contradict_each_other_are_warned_of():
    assert "its terminology is Lung" in contradiction(a_segment("Tumor 2", LEFT_LUNG))
    assert "rename it" in contradiction(a_segment("Body part", TUMOR["Left"]))
    agreeing = [("Left lung", LEFT_LUNG), ("Tumor 1", TUMOR[None]), ("Tumor 1 margin 5 mm", TUMOR[None]), ("Heart", "")]
    assert [contradiction(a_segment(*segment)) for segment in agreeing] == [None] * 4


@pytest.mark.parametrize("name", ["Heart", "left kidney", "Aorta_L", "Herz"])
def test_an_organ_that_is_coded_as_a_lesion_is_measured_and_doubted(name):
    (sentence,) = selection_doubts([a_segment(name, TUMOR["Left"])])
    assert f"The segment {name} was measured because its terminology is Neoplasm" in sentence
    for place in ("next to the aorta", "Heart tumor", "Segment 2"):
        assert not selection_doubts([a_segment(place, TUMOR["Left"])])


def test_a_lesion_that_is_coded_as_something_else_is_left_out_and_said():
    for terminology in (LEFT_LUNG, ISOLATION_MASK, ISOLATION_MASK.replace("Selected region", "")):
        said = selection_doubts([a_segment("Tumor 1"), a_segment("Tumor 2", terminology)])
        assert len(said) == 1
        assert "The segment Tumor 2 was not measured because its terminology is" in said[0]


@pytest.mark.parametrize("category", [ANATOMICAL, MORPHOLOGICALLY_ALTERED])
def test_an_entry_without_a_code_keeps_its_category_and_meaning(category):
    entry = entry_without_code(category, "GTV~1^a|b")
    assert (category_of(entry), type_meaning(entry)) == (category, "GTV 1 a b")


FINDINGS = ("Pleural effusion", "Atelectasis", "Emphysema", "Consolidation", "Pneumothorax", "pulmonary_edema")


@pytest.mark.parametrize("name", FINDINGS)
def test_findings_that_are_no_tumors_are_no_lesions(name):
    for terminology in ("", UNSPECIFIED):
        assert not is_lesion(a_segment(name, terminology))
        assert is_lesion(a_segment(f"Tumor beside {name}", terminology))


def test_a_finding_is_known_by_its_type():
    effusion = TUMOR["Left"].replace(type_meaning(TUMOR["Left"]), "Pleural effusion")
    assert type_meaning(effusion) == "Pleural effusion"
    assert not is_lesion(a_segment("Segment 1", effusion))
    assert contradiction(a_segment("Segment 1", effusion)) is None


@pytest.mark.parametrize(
    "name",
    [
        "Linke Lunge",
        "Körper",
        "Leber",
        "Poumon gauche",
        "Cœur",
        "pulmón derecho",
        "Fegato",
        "Pulmão",
        "左肺",
        "心臓",
        "气管",
    ],
)
def test_organs_in_other_languages_are_no_lesions(name):
    assert not is_lesion(a_segment(name))


@pytest.mark.parametrize(
    "name",
    [
        "Lungentumor",
        "Rundherd Lunge links",
        "Läsion 2",
        "tumeur du poumon",
        "nódulo pulmonar",
        "Nodulo polmone",
        "左肺结节",
        "肺腫瘍",
    ],
)
def test_lesions_in_other_languages_are_lesions(name):
    assert is_lesion(a_segment(name))


MEASURED = "measured"
LEFT_OUT, SAID, DOUBTED, UNKNOWN = "left out", "left out and said", "measured and doubted", "measured as unknown"

NAMES = {
    MEASURED: (
        "GTV", "IGTV", "iGTV_T50", "GTVp", "GTVn1", "IGTVp", "GTVp lung", "lung_GTVn", "LUNG_IGTV", "GTV_Lung", "GTVs",
        "Tumor No. 2", "Nodule no 3", "non-small cell carcinoma", "Segment_2", "ROI 3", "GTV-Heart", "Nominal tumor",
    ),
    LEFT_OUT: (
        "CTV", "CTVp", "CTVn1", "ICTV", "ITV", "ITVp", "PTV_60", "PTVopt", "zPTV", "Lungs-GTV", "Lungs-IGTV",
        "Lung without tumor", "Heart",
    ),
    SAID: (
        "NoGTV", "NOGTV", "no_gtv", "non-GTV", "NonTumor", "no tumor", "not a lesion", "kein Tumor", "pas de tumeur",
        "Lung no GTV", "LUNG-IGTV", "Lung-GTV", "Heart-GTV", "Esophagus - GTV",
    ),
    DOUBTED: (
        "GTV_old", "GTVold", "old GTV", "GTV_backup", "GTV copy", "GTV.bak", "zGTV", "xGTV_2", "GTV_prev", "tmp",
        "test GTV", "DNU_GTV", "Tumor alt", "Segment_1 copy",
    ),
    UNKNOWN: ("Ring 1", "D95", "Shell_2cm", "Boost"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "fate"), [(name, fate) for fate, names in NAMES.items() for name in names])
def test_what_a_name_decides_is_never_decided_in_silence(name, fate):
    named = a_segment(name)
    said = selection_doubts([a_segment("Tumor 7"), named])
    assert is_lesion(named) is (fate in (MEASURED, DOUBTED, UNKNOWN))
    word = {SAID: "was not measured", DOUBTED: "earlier versions", UNKNOWN: "do not tell what they are"}.get(fate)
    assert len(said) == (0 if word is None else 1)
    assert all(word in each and name in each for each in said)


def test_a_described_lesion_is_measured_whatever_its_name_denies_but_doubted():
    segment = a_segment("NoGTV", TUMOR["Left"])
    assert is_lesion(segment)
    assert "no lesions" in selection_doubts([segment])[0]


def test_a_segmentation_without_segments_or_lesions_is_warned_of():
    assert "contains no segments" in selection_doubts([])[0]
    assert "so no lesion was measured; rename a segment that is one" in selection_doubts([a_segment("Heart")])[0]
    empty = a_segment("Tumor 2")
    assert "These segments are empty and were not measured: Tumor 2." in selection_doubts([empty], [empty])[0]
