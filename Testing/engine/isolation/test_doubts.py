"""Every doubt about the lungs is told, and healthy lungs raise none."""

import pytest
from LungTumorSegLib.isolation.doubts import uneven_doubts


@pytest.mark.parametrize(("left_ml", "right_ml"), [(2129, 2855), (729, 1350), (1000, 2999)])
def test_lungs_that_differ_within_reason_are_not_doubted(left_ml, right_ml):
    assert uneven_doubts(left_ml, right_ml) == []
    assert uneven_doubts(right_ml, left_ml) == []


def test_the_smaller_lung_is_named_with_both_volumes():
    (warning,) = uneven_doubts(4518, 0)
    assert warning.startswith("The left lung measures 4518 mL and the right lung 0 mL")
    (warning,) = uneven_doubts(300, 1200)
    assert warning.startswith("The right lung measures 1200 mL and the left lung 300 mL")
