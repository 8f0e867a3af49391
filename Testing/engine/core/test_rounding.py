"""Numbers in files: significant digits, and what is not finite."""

import math

import pytest
from LungTumorSegLib.core.rounding import rounded


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(1234.56789, 7, 1234.568), (-0.000123456789, 7, -0.0001234568), (98765.4321, 3, 98800.0), (0.0, 7, 0.0)],
)
def test_numbers_keep_their_significant_digits(value, digits, expected):
    assert rounded(value, digits) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_becomes_none(value):
    assert rounded(value) is None


def test_nested_values_are_rounded_and_everything_else_stays():
    value = {"point": (1 / 3, [math.inf, 2]), "name": "Tumor 1", "there": True, "count": 123456789}
    assert rounded(value) == {"point": [0.3333333, [None, 2]], "name": "Tumor 1", "there": True, "count": 123456789}
