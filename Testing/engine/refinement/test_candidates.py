"""Candidates: connected suspicious regions, their centers and extents."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.refinement.candidates import MOST_CANDIDATES, deep_voxel, find_candidates
from LungTumorSegLib.refinement.measures import Surroundings, measures_of

from .conftest import axial_affine


def probability_map(blobs, shape=(20, 60, 60)):
    """Return a map with boxes (slices, rows, columns, probability)."""
    values = np.zeros(shape, np.float32)
    for *box, value in blobs:
        values[tuple(slice(*each) for each in box)] = value
    return Volume(values, axial_affine((3.0, 1.5, 1.5)))


def test_suspicion_joins_what_certainty_separates():
    volume = probability_map(
        [((4, 8), (4, 12), (4, 12), 0.9), ((4, 8), (4, 12), (12, 16), 0.4), ((4, 8), (4, 12), (16, 20), 0.8)]
    )
    (candidate,) = find_candidates(volume, min_ml=0.05)
    assert candidate.core_ml == pytest.approx(4 * 8 * 12 * 3 * 1.5 * 1.5 / 1000)
    assert candidate.extent_mm == 16 * 1.5


def test_a_candidate_without_a_core_of_the_smallest_volume_is_dropped():
    volume = probability_map([((4, 8), (4, 12), (4, 12), 0.45), ((12, 13), (4, 6), (4, 6), 0.9)])
    assert find_candidates(volume, min_ml=0.05) == []


def test_candidates_come_largest_first_and_are_limited():
    blobs = [
        ((2 * k, 2 * k + 1), (4 * i, 4 * i + 2), (4 * j, 4 * j + 2), 0.9)
        for k in range(5)
        for i in range(4)
        for j in range(4)
    ]
    blobs += [((14, 18), (20, 40), (20, 40), 0.9)]
    found = find_candidates(probability_map(blobs), min_ml=0.01)
    assert len(found) == MOST_CANDIDATES
    assert found[0].core_ml == max(each.core_ml for each in found)


def test_the_center_of_a_ring_lies_in_the_ring():
    _, i, j = np.indices((5, 41, 41)) - np.array([2, 20, 20]).reshape(3, 1, 1, 1)
    distance = np.hypot(i, j)
    ring = (distance > 10) & (distance < 18)
    assert ring[tuple(deep_voxel(ring, (1.0, 1.0, 1.0)))]


@pytest.mark.parametrize(("neighbor_hu", "share"), [(-850.0, 1.0), (40.0, 0.0)])
def test_the_aerated_share_tells_a_lesion_in_lung_from_one_in_soft_tissue(neighbor_hu, share):
    volume = probability_map([((6, 12), (20, 32), (20, 32), 0.9)])
    hu = np.full(volume.shape, neighbor_hu, np.float32)
    hu[volume.array > 0.5] = 40.0
    around = Surroundings(
        volume.with_array(hu), np.ones(volume.shape, bool), volume.array, np.zeros(volume.shape, np.float32)
    )
    measures = measures_of(find_candidates(volume, min_ml=0.05)[0], around)
    assert measures["aerated_share"] == pytest.approx(share)
    assert measures["contrast_hu"] == pytest.approx(40.0 - neighbor_hu)
    assert measures["confidence"] == pytest.approx(0.9)


def test_a_candidate_at_the_border_of_the_grid_is_measured():
    volume = probability_map([((0, 4), (0, 9), (51, 60), 0.8)])
    around = Surroundings(volume, np.ones(volume.shape, bool), volume.array, np.zeros(volume.shape, np.float32))
    assert np.isfinite(list(measures_of(find_candidates(volume, min_ml=0.05)[0], around).values())).all()
