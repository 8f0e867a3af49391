"""A sample that changes each time stays one lesion: both views and the mask move together, in mm."""

import numpy as np
import pytest
import torch
from LungTumorSegLib.refinement.look import UNIT_MM
from LungTumorSegLib.refinement.views import COARSE_MM
from LungTumorSegLib.training.second_look.sampling import DOES_NOT_COUNT, OWN
from LungTumorSegLib.training.second_look.variation import Views, move_views, restyle_views

SIDE_MM = 80.0


def distances_mm(voxels, side_mm, center_mm):
    axis = (np.arange(voxels) + 0.5) / voxels * side_mm - side_mm / 2
    grids = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.sqrt(sum((grid - c) ** 2 for grid, c in zip(grids, center_mm, strict=True)))


@pytest.fixture
def views():
    """A ball of 40 mm, 12 mm behind the middle, in both views of 80 and 192 mm; eight times."""
    center = (0.0, 12.0, 0.0)
    fine, coarse = distances_mm(40, SIDE_MM, center), distances_mm(32, COARSE_MM, center)
    lung = np.where(coarse < 20, 40.0, -850.0)
    octave = np.log2(SIDE_MM / UNIT_MM)
    return Views(
        torch.tensor(np.where(fine < 20, 40.0, -850.0), dtype=torch.float32).repeat(8, 1, 1, 1),
        torch.tensor(np.stack([lung, (lung < -500) * 200.0]), dtype=torch.float32).repeat(8, 1, 1, 1, 1),
        torch.tensor(np.where(fine < 20, OWN, 0), dtype=torch.uint8).repeat(8, 1, 1, 1),
        torch.full((8,), octave, dtype=torch.float32),
    )


def centroid_mm(inside, side_mm):
    voxels = np.argwhere(inside)
    return (voxels.mean(axis=0) + 0.5) / len(inside) * side_mm - side_mm / 2


def test_both_views_and_the_mask_move_together(views):
    changed = move_views(views, np.random.default_rng(3))
    for fine, coarse, mask, octave in zip(changed.fine, changed.coarse, changed.mask, changed.octaves, strict=True):
        side = UNIT_MM * 2 ** float(octave)
        dense = fine.numpy() > -400
        assert (dense != (mask.numpy() == OWN)).mean() < 0.01
        np.testing.assert_allclose(
            centroid_mm(dense, side), centroid_mm(coarse[0].numpy() > -400, COARSE_MM), atol=2.0, rtol=0
        )
        assert dense.mean() * side**3 == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.3)  # stretched by 8 % per axis
    assert len({tuple(mask.sum((1, 2)).tolist()) for mask in changed.mask}) == 8


def test_what_does_not_count_is_still_marked(views):
    ignoring = Views(views.fine, views.coarse, torch.full_like(views.mask, DOES_NOT_COUNT), views.octaves)
    assert (move_views(ignoring, np.random.default_rng(0)).mask == DOES_NOT_COUNT).all()


def test_appearance_changes_and_the_lesion_stays(views):
    before = views.fine.clone(), views.coarse.clone()
    changed = restyle_views(views, np.random.default_rng(5))
    assert torch.equal(changed.mask, views.mask)
    assert torch.equal(changed.coarse[:, 1], views.coarse[:, 1])
    assert torch.equal(views.fine, before[0])
    assert torch.equal(views.coarse, before[1])
    inside = views.mask == OWN
    for each, original in zip(changed.fine, views.fine, strict=True):
        assert not torch.equal(each, original)
        assert each[inside[0]].mean() > each[~inside[0]].mean() + 500


def test_the_same_random_numbers_give_the_same_views(views):
    first, second = (
        restyle_views(move_views(views, rng), rng) for rng in (np.random.default_rng(1), np.random.default_rng(1))
    )
    for name in ("fine", "coarse", "mask", "octaves"):
        assert torch.equal(getattr(first, name), getattr(second, name))
