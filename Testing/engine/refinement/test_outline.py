"""Outlines of points and boxes with a network that finds what is dense."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.refinement.look import SecondReader
from LungTumorSegLib.refinement.outline import outline_box, outline_point
from LungTumorSegLib.refinement.views import Anatomy

from .conftest import CENTER, RADIUS_MM, ball_ct
from .test_views import TURN

BALL_ML = 4 / 3 * np.pi * RADIUS_MM**3 / 1000


def reader_of(network, ct):
    return SecondReader(network, ct, Anatomy.of(ct, np.ones(ct.shape, bool)))


@pytest.mark.parametrize("radius_mm", [4.0, 11.0, 30.0])
@pytest.mark.parametrize("off_mm", [(0, 0, 0), (0.4, -0.3, 0.2)])
def test_a_point_inside_a_ball_outlines_the_ball_whatever_its_size(network, numbers, radius_mm, off_mm):
    ct = ball_ct((1.5, 1.0, 1.0), (0.0, 0.0, 30.0), radius_mm)
    point = tuple(np.array([0.0, 0.0, 30.0]) + np.array(off_mm) * radius_mm)
    found = outline_point(reader_of(network, ct), numbers.click, point)
    whole = np.zeros(ct.shape, bool)
    whole[found.mask.slices] = found.mask.mask.array
    truth = ct.array > -300
    assert 2 * (whole & truth).sum() / (whole.sum() + truth.sum()) > 0.88
    assert found.tumor > 0.9


def test_a_turned_ct_is_outlined_at_the_same_place(network, numbers):
    ct = ball_ct((2.0, 1.0, 1.0), turn=TURN, center=(5.0, 10.0, 30.0))
    found = outline_point(reader_of(network, ct), numbers.click, (8.0, 8.0, 30.0))
    index = np.argwhere(found.mask.mask.array).mean(axis=0)
    assert found.mask.mask.index_to_lps(index) == pytest.approx([5.0, 10.0, 30.0], abs=1.0)


def test_a_box_outlines_what_it_holds_whatever_the_order_of_its_corners(network, numbers):
    ct = ball_ct()
    low, high = np.array(CENTER) - 13, np.array(CENTER) + 13
    found = outline_box(reader_of(network, ct), numbers.click, tuple(high), tuple(low))
    assert np.count_nonzero(found.mask.mask.array) * ct.voxel_volume_ml == pytest.approx(BALL_ML, rel=0.15)


def test_healthy_lung_is_answered_with_no_outline_and_a_low_probability(network, numbers):
    ct = ball_ct()
    found = outline_point(reader_of(network, ct), numbers.click, (-40.0, 40.0, 60.0))
    assert found.mask is None
    assert found.tumor < 0.01


def test_a_point_outside_the_ct_is_refused_with_its_coordinates(network, numbers):
    ct = ball_ct()
    with pytest.raises(UnusableInput, match=r"\(900, 0, 0\) lies outside the CT"):
        outline_point(reader_of(network, ct), numbers.click, (900.0, 0.0, 0.0))
