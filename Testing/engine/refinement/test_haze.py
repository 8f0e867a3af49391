"""What is dense inside a haze, and how lesions there are kept apart from it."""

from __future__ import annotations

import numpy as np
from LungTumorSegLib.core.crops import Crop
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.refinement.candidates import candidate_at
from LungTumorSegLib.refinement.haze import dense_parts
from LungTumorSegLib.refinement.measures import Surroundings

from .conftest import axial_affine

SHAPE, AFFINE = (30, 60, 60), axial_affine((3.0, 1.5, 1.5))
HAZE = -450.0


def positions_mm():
    return np.moveaxis(np.indices(SHAPE), 0, -1) * (3.0, 1.5, 1.5)


def ball(center_mm, radius_mm):
    return np.linalg.norm(positions_mm() - center_mm, axis=-1) <= radius_mm


def rod(row_mm, column_mm, radius_mm):
    """Return a straight vessel along the slices."""
    return np.linalg.norm(positions_mm()[..., 1:] - (row_mm, column_mm), axis=-1) <= radius_mm


def parts_of(hu):
    """Return the masks of the dense parts of a haze that fills the whole grid."""
    everywhere = np.ones(SHAPE, bool)
    around = Surroundings(Volume(hu, AFFINE), everywhere, np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.float32))
    region = Crop(Volume(everywhere, AFFINE), ((0, 0, 0), SHAPE))
    haze = candidate_at(region, around.suspected, min_ml=0.0)
    return [part.region.mask.array for part in dense_parts(haze, around, min_ml=0.02)]


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_a_haze_without_anything_dense_has_no_parts():
    assert parts_of(np.full(SHAPE, HAZE, np.float32)) == []


def test_a_solid_lesion_is_a_dense_part_at_each_level():
    lesion = ball((45.0, 45.0, 45.0), 12.0)
    parts = parts_of(np.where(lesion, 40.0, HAZE).astype(np.float32))
    assert len(parts) == 3
    assert dice(parts[0], lesion) > 0.9
    assert all((part & lesion).sum() > 0.99 * part.sum() for part in parts)


def test_a_solid_lesion_in_consolidation_is_separated_at_the_highest_level():
    lesion, dense = ball((45.0, 45.0, 45.0), 9.0), ball((45.0, 45.0, 45.0), 25.0)
    parts = parts_of(np.where(lesion, 40.0, np.where(dense, -180.0, HAZE)).astype(np.float32))
    assert dice(parts[0], dense) > 0.9
    assert dice(parts[-1], lesion) > 0.7


def test_a_vessel_is_no_dense_part():
    vessel = rod(45.0, 45.0, 2.5)
    assert parts_of(np.where(vessel, 100.0, HAZE).astype(np.float32)) == []


def test_separate_lesions_are_separate_parts():
    both = ball((30.0, 25.0, 25.0), 9.0) | ball((60.0, 60.0, 60.0), 9.0)
    assert len(parts_of(np.where(both, 40.0, HAZE).astype(np.float32))) == 6
