"""The border of an outline moves to the edge of the CT, but only a little and only where there is an edge."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.core.boxes import bounding_box
from LungTumorSegLib.core.crops import Crop
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.evaluation.overlap import dice
from LungTumorSegLib.refinement import borders
from LungTumorSegLib.refinement.borders import SHIFT_MM, at_edges
from scipy import ndimage

from .conftest import axial_affine

READERS_SHARE = 0.4
"""Where readers see the edge, between the HU of the surroundings (0) and that of the lesion (1)."""

SPACING_MM = (1.25, 0.8, 0.8)
SHAPE = (30, 48, 48)
MIDDLE_MM = np.array([18.0, 19.0, 19.0])
RADIUS_MM = 8.0
GRID = Volume(np.zeros(SHAPE, np.float32), axial_affine(SPACING_MM, origin=(0.0, 0.0, 0.0)))
FROM_MIDDLE_MM = np.moveaxis(np.indices(SHAPE), 0, -1) * SPACING_MM - MIDDLE_MM
DISTANCE_MM = np.linalg.norm(FROM_MIDDLE_MM, axis=-1)


def ball(radius_mm):
    return radius_mm > DISTANCE_MM


def scan(lesion_hu=40.0, lung_hu=-850.0):
    """Return the CT of a ball in lung, blurred as a scanner blurs."""
    hu = np.where(ball(RADIUS_MM), lesion_hu, lung_hu).astype(np.float32)
    return GRID.with_array(ndimage.gaussian_filter(hu, [0.8 / s for s in SPACING_MM]))


def as_readers_draw(lesion_hu):
    """Return the ball with a border a little outside of the middle of its blurred edge."""
    lung_hu = -850.0
    return scan(lesion_hu, lung_hu).array > lung_hu + READERS_SHARE * (lesion_hu - lung_hu)


def crop(mask):
    box = bounding_box(mask)
    return Crop(GRID.with_array(mask).crop(*box), box)


def moved(mask, ct):
    answer = np.zeros(SHAPE, bool)
    outline = at_edges(crop(mask), ct)
    answer[outline.slices] = outline.mask.array
    return answer


@pytest.mark.parametrize("off_mm", [-1.2, 1.2])
@pytest.mark.parametrize("lesion_hu", [40.0, -300.0, -600.0])
def test_an_outline_that_is_off_by_a_millimeter_moves_toward_the_edge(off_mm, lesion_hu):
    drawn, truth = ball(RADIUS_MM + off_mm), as_readers_draw(lesion_hu)
    assert dice(drawn, truth) < 0.9
    assert dice(moved(drawn, scan(lesion_hu)), truth) > dice(drawn, truth) + 0.03


def test_an_outline_like_that_of_readers_keeps_its_volume():
    """Voxels of 0.4 mm, because a border moves in steps of voxels."""
    fine = Volume(np.zeros((64, 64, 64), np.float32), axial_affine((0.4, 0.4, 0.4), origin=(0.0, 0.0, 0.0)))
    lesion = np.linalg.norm(np.moveaxis(np.indices(fine.shape), 0, -1) * 0.4 - 12.8, axis=-1) < RADIUS_MM
    ct = fine.with_array(ndimage.gaussian_filter(np.where(lesion, 40.0, -850.0), 2.0 / 0.4))
    mask = ct.array > -850 + READERS_SHARE * 890
    box = bounding_box(mask)
    outline = at_edges(Crop(fine.with_array(mask).crop(*box), box), ct)
    assert np.count_nonzero(outline.mask.array) == pytest.approx(np.count_nonzero(mask), rel=0.01)


@pytest.mark.parametrize("off_mm", [-2.5, 4.0])
def test_the_border_moves_by_a_small_distance_at_most(off_mm):
    drawn = ball(RADIUS_MM + off_mm)
    changed = DISTANCE_MM[moved(drawn, scan()) != drawn]
    assert changed.size
    assert np.abs(changed - (RADIUS_MM + off_mm)).max() < SHIFT_MM + max(SPACING_MM) / 2


def test_without_contrast_the_outline_stays():
    drawn = crop(ball(RADIUS_MM + 1))
    assert at_edges(drawn, scan(lesion_hu=40.0, lung_hu=0.0)) is drawn


def test_inside_tissue_of_its_own_density_the_border_stays_where_it_was_drawn():
    """A lesion that grows into the chest wall: the border meets the edge in the lung and stays in the wall."""
    ct, x_mm = scan(), np.indices(SHAPE)[2] * SPACING_MM[2]
    ct.array[x_mm > 21] = 40.0
    drawn = ball(RADIUS_MM + 1.2) & (x_mm < 25)
    answer, free = moved(drawn, ct), x_mm < 17
    assert dice(answer & free, ball(RADIUS_MM) & free) > dice(drawn & free, ball(RADIUS_MM) & free) + 0.04
    assert answer[drawn & (x_mm > 24)].all()
    assert not answer[x_mm > 25].any()


def test_a_lesion_that_fills_the_whole_volume_stays():
    whole = crop(np.ones(SHAPE, bool))
    assert at_edges(whole, scan()) is whole


def test_a_vessel_beside_the_lesion_is_not_added():
    ct = scan()
    vessel = np.linalg.norm(FROM_MIDDLE_MM[..., 1:] - [0, 12], axis=-1)
    ct.array[vessel < 1.5] = 40.0
    answer = moved(ball(RADIUS_MM), ct)
    assert dice(answer, ball(RADIUS_MM)) > 0.95
    assert not answer[vessel < 1.5].any()


def test_the_border_of_an_outline_too_large_for_memory_stays(monkeypatch):
    drawn = crop(ball(RADIUS_MM + 1))
    monkeypatch.setattr(borders, "MOST_VOXELS", drawn.mask.array.size)
    assert at_edges(drawn, scan()) is drawn
