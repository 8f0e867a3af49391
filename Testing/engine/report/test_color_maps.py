"""Colors of lesions and their legends."""

from types import SimpleNamespace

import pytest
from LungTumorSegLib.core.colors import lesion_color
from LungTumorSegLib.report.color_maps import CONFIDENCE_BOUNDS, RAMP, UNKNOWN_COLOR, VOLUME_BOUNDS_ML, coloring
from LungTumorSegLib.results.lesion_rows import LOW_CONFIDENCE


def a_lesion(number, volume_ml=1.0, confidence=0.9):
    return SimpleNamespace(number=number, segment=f"Tumor {number}", volume_ml=volume_ml, confidence=confidence)


def test_by_number_each_lesion_has_its_segments_color_and_line():
    found = coloring([a_lesion(1, 12.34), a_lesion(7, 0.5)])
    assert found.colors == (lesion_color(1), lesion_color(7))
    assert found.legend == (("Tumor 1: 12.3 mL", lesion_color(1)), ("Tumor 7: 0.5 mL", lesion_color(7)))


@pytest.mark.parametrize(("by", "bounds"), [("volume", VOLUME_BOUNDS_ML), ("confidence", CONFIDENCE_BOUNDS)])
def test_a_class_reaches_from_its_bound_up_to_the_next(by, bounds):
    name = {"volume": "volume_ml", "confidence": "confidence"}[by]
    just_below = [a_lesion(1, **{name: bound * 0.999}) for bound in bounds]
    at_it = [a_lesion(1, **{name: bound}) for bound in bounds]
    assert coloring(just_below, by).colors == RAMP[:-1]
    assert coloring(at_it, by).colors == RAMP[1:]


def test_the_legend_of_classes_shows_all_of_them_whatever_lesions_there_are():
    assert coloring([a_lesion(1)], "volume").legend == tuple(
        zip(("below 0.5 mL", "0.5 to 4 mL", "4 to 14 mL", "14 to 65 mL", "from 65 mL"), RAMP, strict=True)
    )
    lines = [line for line, _ in coloring([], "confidence").legend]
    assert lines == ["below 0.75", "0.75 to 0.8", "0.8 to 0.85", "0.85 to 0.9", "from 0.9"]


@pytest.mark.parametrize("unknown", [None, float("nan")])
def test_an_unknown_confidence_is_gray_and_says_so(unknown):
    found = coloring([a_lesion(1, confidence=unknown), a_lesion(2)], "confidence")
    assert found.colors == (UNKNOWN_COLOR, RAMP[-1])
    assert found.legend[-1] == ("not known", UNKNOWN_COLOR)


def test_what_the_table_marks_for_a_check_has_the_first_color():
    assert CONFIDENCE_BOUNDS[0] == LOW_CONFIDENCE


def test_another_choice_is_refused():
    with pytest.raises(ValueError, match="by number, volume or confidence, not by size"):
        coloring([], "size")
