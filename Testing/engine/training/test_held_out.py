"""What is measured on held-out cases, with a stand-in for the network's answer."""

import csv
import json

import numpy as np
import pytest
import torch
from LungTumorSegLib.core.events import ignore_progress
from LungTumorSegLib.training.config import GridConfig
from LungTumorSegLib.training.held_out import evaluate_held_out
from LungTumorSegLib.training.store import IGNORED
from LungTumorSegLib.training.whole_volumes import WholeVolumes
from training_cases import a_stored_case

GRID = GridConfig(spacing_mm=(3.0, 1.5, 1.5))


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Metrics of two CT of one patient: lesion 1 is found, lesion 2 missed, and something said where nothing counts."""
    cases = [a_stored_case(tmp_path / name, "anna") for name in ("first", "second")]
    label = np.asarray(cases[0].label)
    monkeypatch.setattr(WholeVolumes, "probability", lambda *_: ((label == 1) | (label == IGNORED)) * np.float32(0.9))
    volumes = WholeVolumes(GRID, torch.device("cpu"), "float32")
    summary = evaluate_held_out(None, cases, GRID, volumes, output=tmp_path / "run", on_progress=ignore_progress)
    return summary, label, tmp_path / "run/held-out"


def test_what_does_not_count_is_left_out(measured):
    summary, label, _ = measured
    first, second = np.count_nonzero(label == 1), np.count_nonzero(label == 2)
    assert summary["dice_3d"] == pytest.approx(2 * first / (2 * first + second))
    assert (summary["lesions"], summary["lesions_found"], summary["false_positives"]) == (4, 2, 0)
    assert summary["froc"]["curve"] == [
        {"threshold": pytest.approx(0.9), "sensitivity": 0.5, "false_positives_per_scan": 0.0}
    ]


def test_table_metrics_and_pictures_are_written_a_case_each(measured):
    summary, _, folder = measured
    assert json.loads((folder / "metrics.json").read_text()) == summary
    with (folder / "cases.csv").open(newline="") as file:
        assert [line["case"] for line in csv.DictReader(file)] == ["first", "second"]
    assert {path.name for path in folder.iterdir()} == {
        "metrics.json",
        "cases.csv",
        "froc.svg",
        "first.png",
        "second.png",
    }
