"""Mining: which cases are searched, which voxels are mistakes to learn from, and which earlier sites stay."""

from types import SimpleNamespace

import numpy as np
import pytest
from LungTumorSegLib.training.mining import HARD_SITES, cases_to_mine, hard_voxels, updated_sites
from LungTumorSegLib.training.store import IGNORED
from scipy import ndimage

LABEL = np.zeros((14, 40, 48), np.uint8)
LABEL[5:9, 15:22, 8:15], LABEL[4:6, 20:24, 33:37], LABEL[10, 8:11, 30:33] = 1, 2, IGNORED
LESIONS = (LABEL > 0) & (LABEL != IGNORED)


def found(probability, seed=0):
    return hard_voxels(np.asarray(probability, np.float32), LABEL, np.random.default_rng(seed)).tolist()


# The cases


@pytest.mark.parametrize(("count", "scans", "phantoms"), [(1, 1, 0), (2, 1, 1), (3, 2, 1), (5, 3, 2), (9, 3, 2)])
def test_scans_and_phantoms_are_searched_by_halves_as_far_as_there_are_any(count, scans, phantoms):
    cases = [SimpleNamespace(is_phantom=i in (1, 3)) for i in range(5)]
    which = cases_to_mine(cases, count, np.random.default_rng(0))
    assert len(set(which)) == len(which)
    assert (sum(i in (0, 2, 4) for i in which), sum(i in (1, 3) for i in which)) == (scans, phantoms)
    assert len({tuple(cases_to_mine(cases, 2, np.random.default_rng(seed))) for seed in range(6)}) > 1, "others in turn"


def test_a_case_searched_again_forgets_its_old_mistakes_and_others_keep_theirs():
    sites = ((0, 1, 1, 1), (1, 1, 1, 1), (1, 2, 2, 2), (2, 1, 1, 1))
    assert updated_sites(sites, [1, 2], [(1, 3, 3, 3)]) == ((0, 1, 1, 1), (1, 3, 3, 3))


# Their voxels


def test_hard_voxels_are_confident_mistakes_away_from_lesions():
    probability = LESIONS * 0.9
    probability[5:9, 15:22, 8:18] = 0.9  # a lesion and its rim of three columns
    probability[10, 8:11, 30:33] = 0.9  # does not count
    probability[2:4, 30:33, 30:33] = 0.29  # not confident
    probability[11, 6:9, 10:13] = 0.31
    assert sorted(found(probability)) == [[11, i, j] for i in (6, 7, 8) for j in (10, 11, 12)]


def test_one_large_mistake_leaves_room_for_small_ones():
    probability = np.zeros(LABEL.shape)
    probability[1:4, 24:38, 2:46] = 0.9  # 1848 voxels
    probability[12, 4, 4:8] = 0.9  # 4 voxels
    assert len(found(probability)) == HARD_SITES
    small = [sum(voxel[0] == 12 for voxel in found(probability, seed)) for seed in range(20)]
    # By voxels 0.09 of 40 would come from the small one; by roots of sizes about 1.7, without replacement.
    assert np.mean(small) > 0.8
    assert found(probability, 3) == found(probability, 3)


def test_a_missed_lesion_is_a_hard_site_and_the_rim_of_a_found_one_is_not():
    missed = found(np.zeros(LABEL.shape))
    assert missed
    assert all(LESIONS[tuple(voxel)] for voxel in missed)
    inner = ndimage.binary_erosion(LESIONS, np.ones((1, 3, 3)))
    assert inner.any()
    assert found(inner) == []


def test_no_mistake_no_hard_site():
    assert found(LESIONS) == []
