"""Change of volume, doubling time and its range, size and growth classes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from LungTumorSegLib.followup.growth import doubling_time, ratio_sigma, status_of
from LungTumorSegLib.followup.lesion import TimedLesion
from LungTumorSegLib.followup.size_classes import (
    fleischner_size,
    fleischner_volume,
    lung_rads_growth,
    lung_rads_size,
    mean_diameter_mm,
)

volumes = st.floats(0.01, 500)


@pytest.mark.parametrize(
    ("earlier", "later", "status"),
    [(1, 1, "stable"), (1, 1.25, "stable"), (1, 1.26, "grown"), (4, 3, "stable"), (4, 2.9, "shrunk")],
)
def test_a_change_within_the_repeatability_limit_is_stable(earlier, later, status):
    assert status_of(earlier, later) == status


@pytest.mark.parametrize(
    ("earlier", "later", "days", "expected"),
    [(1, 2, 90, 90), (1, 4, 90, 45), (2, 1, 60, -60), (1, 2**0.5, 30, 60)],
)
def test_the_doubling_time_is_that_of_an_exponential(earlier, later, days, expected):
    assert doubling_time(earlier, later, days).days == pytest.approx(expected)


def test_equal_volumes_have_no_doubling_time():
    assert doubling_time(2.0, 2.0, 90) is None


@given(volumes, volumes, st.floats(1, 2000), st.floats(0.01, 0.5))
def test_the_range_encloses_the_doubling_time(earlier, later, days, sigma):
    found = doubling_time(earlier, later, days, sigma)
    if found is not None:
        fast, slow = found.range_days
        assert abs(fast) <= abs(found.days) * (1 + 1e-9)
        assert slow is None or abs(slow) >= abs(found.days) * (1 - 1e-9)
        assert math.copysign(1, fast) == math.copysign(1, found.days)


def test_a_growth_within_the_error_has_no_slowest_doubling_time():
    assert doubling_time(1, 1.1, 90).range_days[1] is None
    assert doubling_time(1, 2.0, 90).range_days[1] is not None


def lesion(volume, spread=None):
    return TimedLesion("t", None, volume, 10, 8, volume_range_ml=spread)


def test_wide_ranges_of_the_volumes_widen_the_range_of_the_doubling_time():
    narrow = ratio_sigma([lesion(1, (0.99, 1.01))], [lesion(2, (1.99, 2.01))])
    unknown = ratio_sigma([lesion(1)], [lesion(2, (1, 4))])
    wide = ratio_sigma([lesion(1, (0.5, 2))], [lesion(2, (1, 4))])
    assert narrow == unknown < wide == pytest.approx(math.hypot(*[math.log(4) / 3.29] * 2))


def test_the_mass_is_volume_times_density():
    heavy = TimedLesion("t", None, 2.0, 10, 8, mean_hu=50.0)
    assert heavy.mass_mg == 2100


@pytest.mark.parametrize(("name", "is_node"), [("Lymph node 4R", True), ("node_7", True), ("Nodule 3", False)])
def test_a_node_is_known_by_its_name(name, is_node):
    assert TimedLesion(name, None, 1, 1, 1).is_node is is_node


@pytest.mark.parametrize(
    ("earlier", "later", "days", "growth"),
    [
        (8.0, 9.5, 90, "no growth"),
        (8.0, 9.6, 90, "growth"),
        (8.0, 9.6, 366, "growth"),
        (8.0, 12.0, 400, "interval longer than 12 months"),
        (8.0, 12.0, None, "interval unknown"),
    ],
)
def test_lung_rads_growth_is_more_than_one_and_a_half_mm_within_a_year(earlier, later, days, growth):
    assert lung_rads_growth(earlier, later, days) == growth


@pytest.mark.parametrize(("mean", "density", "is_new", "size"), [
    (5.9, "solid", False, "less than 6 mm"),
    (6.0, "solid", False, "6 to less than 8 mm"),
    (8.0, None, False, "8 to less than 15 mm"),
    (15.0, "solid", False, "15 mm or more"),
    (29.9, "ground glass", False, "less than 30 mm"),
    (6.0, "part-solid", False, "6 mm or more"),
    (3.9, "solid", True, "less than 4 mm"),
    (4.0, None, True, "4 to less than 6 mm"),
    (8.0, "solid", True, "8 mm or more"),
    (5.0, "part-solid", True, "less than 6 mm"),
    (8.0, "ground glass", True, "less than 30 mm"),
])  # fmt: skip
def test_lung_rads_size_depends_on_the_density_and_new_solid_nodules_have_lower_limits(mean, density, is_new, size):
    assert lung_rads_size(mean, density, is_new=is_new) == size


@pytest.mark.parametrize(
    ("axes", "size"), [((5.4, 5.4), "less than 6 mm"), ((6, 5), "6 to 8 mm"), ((9, 8), "more than 8 mm")]
)
def test_fleischner_rounds_the_mean_of_both_axes(axes, size):
    assert fleischner_size(*axes) == size


@pytest.mark.parametrize(
    ("volume_ml", "size"),
    [(0.099, "less than 100 mm3"), (0.1, "100 to 250 mm3"), (0.25, "100 to 250 mm3"), (0.3, "more than 250 mm3")],
)
def test_fleischner_volumes(volume_ml, size):
    assert fleischner_volume(volume_ml) == size


def test_the_mean_diameter_has_one_decimal():
    assert mean_diameter_mm(8.0, 7.1) == 7.6
