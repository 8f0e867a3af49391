"""Outlines of masks: filled by any rule, they give the same pixels, and their area is that of the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from LungTumorSegLib.core.contours import fill_polygons
from LungTumorSegLib.core.pixel_outlines import outlines


def area_of(polygon: np.ndarray) -> float:
    """The signed area by the shoelace formula; a line that is followed in both directions adds nothing."""
    (rows, columns), (next_rows, next_columns) = polygon.T, np.roll(polygon, -1, axis=0).T
    return float((columns * next_rows - next_columns * rows).sum() / 2)


def assert_fills_to(mask: np.ndarray, polygons: list[np.ndarray]) -> None:
    even_odd = fill_polygons(polygons, mask.shape)
    united = np.any([fill_polygons([polygon], mask.shape) for polygon in polygons] or [np.zeros_like(mask)], axis=0)
    assert np.array_equal(even_odd, mask)
    assert np.array_equal(united, mask)
    assert sum(map(area_of, polygons)) == pytest.approx(mask.sum())


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.5, 0.8, 0.95]))
def test_outlines_of_any_mask_give_its_pixels_again(seed, share):
    mask = np.random.default_rng(seed).random((11, 13)) < share
    assert_fills_to(mask, outlines(mask))


def test_a_ring_with_an_island_in_its_hole_is_two_polygons():
    mask = np.zeros((9, 9), bool)
    mask[1:8, 1:8] = True
    mask[2:7, 2:7] = False
    mask[4, 4] = True
    polygons = outlines(mask)
    assert len(polygons) == 2
    assert_fills_to(mask, polygons)


def test_a_pixel_is_a_square_around_its_center():
    mask = np.zeros((3, 4), bool)
    mask[1, 2] = True
    (polygon,) = outlines(mask)
    assert sorted(map(tuple, polygon)) == [(0.5, 1.5), (0.5, 2.5), (1.5, 1.5), (1.5, 2.5)]


def test_an_empty_mask_has_no_outline():
    assert outlines(np.zeros((3, 3), bool)) == []
