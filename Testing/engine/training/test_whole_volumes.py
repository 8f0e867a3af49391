"""Whole volumes in training: the score and the hard negatives, with a stand-in for the network's answer."""

import numpy as np
import pytest
import torch
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.options import Thresholds
from LungTumorSegLib.training.checkpoint_score import FALSE_ML_SCALE, CheckpointScore
from LungTumorSegLib.training.config import GridConfig
from LungTumorSegLib.training.store import IGNORED
from LungTumorSegLib.training.whole_volumes import HARD_SITES, WholeVolumes
from scipy import ndimage
from training_cases import a_stored_case

SPACING_MM = (3.0, 1.5, 1.5)


@pytest.fixture
def case(tmp_path):
    return a_stored_case(tmp_path / "case")


@pytest.fixture
def volumes():
    return WholeVolumes(GridConfig(spacing_mm=SPACING_MM), torch.device("cpu"), "float32")


def answering(volumes, monkeypatch, probability):
    """``volumes`` whose network says ``probability``."""
    monkeypatch.setattr(volumes, "probability", lambda network, case: probability)
    return volumes


def lesions(case):
    return (case.label > 0) & (case.label != IGNORED)


def test_the_truth_scores_1(volumes, monkeypatch, case):
    score = answering(volumes, monkeypatch, lesions(case) * 0.9).score(None, [case], Thresholds())
    assert (score.dice, score.false_ml, score.value) == (1.0, 0.0, 1.0)


def test_a_false_component_costs_dice_and_volume(volumes, monkeypatch, case):
    probability = lesions(case) * 0.9
    probability[3:7, 30:34, 30:40] = 0.9  # 160 voxels that touch nothing
    score = answering(volumes, monkeypatch, probability).score(None, [case], Thresholds())
    truth = np.count_nonzero(lesions(case))
    assert score.dice == pytest.approx(2 * truth / (2 * truth + 160))
    assert score.false_ml == pytest.approx(160 * 6.75 / 1000)
    assert score.value == pytest.approx(score.dice - score.false_ml / FALSE_ML_SCALE)


def test_what_touches_a_lesion_over_a_corner_is_no_false_component(volumes, monkeypatch, case):
    truth = lesions(case)
    corner = max(np.argwhere(truth).tolist())
    probability = truth * 0.9
    touching = tuple(index + 1 for index in corner)
    assert not truth[touching]
    probability[touching] = 0.9
    assert answering(volumes, monkeypatch, probability).score(None, [case], Thresholds()).false_ml == 0


def test_slices_below_the_gate_and_ignored_voxels_do_not_count(volumes, monkeypatch, case):
    probability = lesions(case) * 0.9
    probability[12] = 0.6  # above the voxel threshold, below the gate, in a slice of its own
    probability[np.asarray(case.label) == IGNORED] = 1.0
    assert answering(volumes, monkeypatch, probability).score(None, [case], Thresholds(0.7, 0.5)).dice == 1.0


def test_scores_are_means_over_scans_and_tumor_free_ones_count_by_their_false_volume(
    volumes, monkeypatch, case, tmp_path
):
    free = a_stored_case(tmp_path / "free")
    object.__setattr__(free, "label", np.zeros(case.label.shape, np.uint8))
    probability = lesions(case) * 0.9
    score = answering(volumes, monkeypatch, probability).score(None, [case, free], Thresholds())
    assert score.dice == 1.0
    assert score.false_ml == pytest.approx(np.count_nonzero(probability) * 6.75 / 1000 / 2)


def test_a_large_false_volume_costs_no_more_than_the_whole_dice():
    assert CheckpointScore(dice=0.8, false_ml=1e6).value == pytest.approx(-0.2)


def test_hard_sites_are_confident_mistakes_away_from_lesions(volumes, monkeypatch, case):
    probability = (lesions(case) * 0.9).astype(np.float32)
    probability[5:9, 15:22, 8:18] = 0.9  # a lesion and its rim of three columns
    probability[10, 8:11, 30:33] = 0.9  # does not count
    probability[2:4, 30:33, 30:33] = 0.29  # not confident
    probability[11, 6:9, 10:13] = 0.31
    sites = answering(volumes, monkeypatch, probability).mine(None, [None, case], [1], seed=0)
    assert sites
    assert {site[0] for site in sites} == {1}
    for _, k, i, j in sites:
        assert (k, 6 <= i < 9, 10 <= j < 13) == (11, True, True)
        assert all(isinstance(value, int) for value in (k, i, j))  # JSON keeps them in checkpoints


def test_one_large_mistake_leaves_room_for_small_ones(volumes, monkeypatch, case):
    probability = np.zeros(case.hu.shape, np.float32)
    probability[1:4, 24:38, 2:46] = 0.9  # 1848 voxels
    probability[12, 4, 4:8] = 0.9  # 4 voxels
    answer = answering(volumes, monkeypatch, probability)
    sites = answer.mine(None, [case], [0], seed=0)
    assert len(sites) == HARD_SITES
    small = [sum(site[1] == 12 for site in answer.mine(None, [case], [0], seed=seed)) for seed in range(20)]
    # By voxels 0.09 of 40 would come from the small one; by roots of sizes about 1.7, without replacement.
    assert np.mean(small) > 0.8
    assert answer.mine(None, [case], [0], seed=3) == answer.mine(None, [case], [0], seed=3)


def test_a_missed_lesion_is_a_hard_site_and_the_rim_of_a_found_one_is_not(volumes, monkeypatch, case):
    missed = answering(volumes, monkeypatch, np.zeros(case.hu.shape, np.float32)).mine(None, [case], [0], seed=0)
    assert missed
    assert all(lesions(case)[site[1:]] for site in missed)
    found = ndimage.binary_erosion(lesions(case), np.ones((1, 3, 3))) * 1.0
    assert found.any()
    assert answering(volumes, monkeypatch, found).mine(None, [case], [0], seed=0) == []


def test_no_mistake_no_hard_site(volumes, monkeypatch, case):
    assert answering(volumes, monkeypatch, lesions(case) * 1.0).mine(None, [case], [0], seed=0) == []


def test_the_network_answers_on_the_cases_grid(volumes, case):
    torch.manual_seed(0)
    network = build_network("multires_unet3d", 4)
    probability = volumes.probability(network, case)
    assert probability.shape == case.hu.shape
    assert (probability > 0).any()
