"""Whole volumes in training: the score and the hard sites, with a stand-in for the network's answer."""

import numpy as np
import pytest
import torch
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.options import Thresholds
from LungTumorSegLib.training.checkpoint_score import FALSE_ML_SCALE, CheckpointScore
from LungTumorSegLib.training.config import GridConfig
from LungTumorSegLib.training.store import IGNORED
from LungTumorSegLib.training.whole_volumes import WholeVolumes
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


def test_hard_sites_name_their_case_in_plain_numbers(volumes, monkeypatch, case):
    probability = (lesions(case) * 0.9).astype(np.float32)
    probability[11, 6:9, 10:13] = 0.31
    answer = answering(volumes, monkeypatch, probability)
    sites = answer.mine(None, [None, case], [1], seed=0)
    assert sorted(sites) == [(1, 11, i, j) for i in (6, 7, 8) for j in (10, 11, 12)]
    assert all(type(value) is int for site in sites for value in site), "JSON keeps them in checkpoints"
    assert answer.mine(None, [case], [], seed=0) == []


def test_the_network_answers_on_the_cases_grid(volumes, case):
    torch.manual_seed(0)
    network = build_network("multires_unet3d", 4)
    probability = volumes.probability(network, case)
    assert probability.shape == case.hu.shape
    assert (probability > 0).any()
