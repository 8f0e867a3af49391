"""Calibrations as numbers in a manifest."""

from __future__ import annotations

import math

import pytest
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.refinement.calibration import Calibration
from LungTumorSegLib.weights.manifest import Manifest, SecondLook

GOOD = {"intercept": -1.0, "weights": {"tumor_logit": 2.0}}


def test_a_probability_is_the_logistic_function_of_the_weighted_measures():
    calibration = Calibration.from_json(GOOD)
    assert calibration.probability({"tumor_logit": 1.5, "unused": 9.0}) == pytest.approx(1 / (1 + math.exp(-2.0)))


@pytest.mark.parametrize("logit", [-1e300, 1e300])
def test_an_extreme_measure_gives_a_probability_from_0_to_1(logit):
    assert 0 <= Calibration.from_json(GOOD).probability({"tumor_logit": logit}) <= 1


@pytest.mark.parametrize(
    "values",
    [
        None,
        {},
        {"intercept": 1.0},
        {**GOOD, "more": 1},
        {**GOOD, "weights": {}},
        {**GOOD, "weights": {"a": "1"}},
        {**GOOD, "weights": {"a": True}},
        {**GOOD, "intercept": math.nan},
        {**GOOD, "weights": {str(k): 1.0 for k in range(33)}},
    ],
)
def test_a_damaged_calibration_is_refused(values):
    with pytest.raises(ValueError, match="calibration"):
        Calibration.from_json(values)


def manifest(**more):
    return Manifest("m", "text", "unet3d", 4, (3.0, 1.5, 1.5), (-1000.0, 400.0), "0" * 64, **more)


def test_a_manifest_keeps_its_second_network(tmp_path):
    click, spot = Calibration(0.5, {"tumor_logit": 1.0}), Calibration(-1.0, {"tumor_logit": 2.0})
    second = SecondLook(8, "f" * 64, Calibration.from_json(GOOD), click, 0.6, spot)
    manifest(second_look=second).write(tmp_path)
    read = Manifest.read(tmp_path)
    assert read.second_look == second
    assert read.verify


def test_a_manifest_without_a_second_network_takes_no_second_look(tmp_path):
    manifest().write(tmp_path)
    assert not Manifest.read(tmp_path).verify


def test_a_second_network_without_a_correction_of_outlines_has_none():
    stored = {"width": 8, "weights_sha256": "", "candidate": GOOD, "click": GOOD}
    assert SecondLook.from_json(stored).outline_logit == 0.0


def test_a_second_network_without_numbers_for_spots_looks_at_none():
    stored = {"width": 8, "weights_sha256": "", "candidate": GOOD, "click": GOOD}
    assert SecondLook.from_json(stored).spot is None


def test_a_damaged_second_network_makes_the_manifest_unreadable(tmp_path):
    manifest(second_look=SecondLook(0, "", Calibration.from_json(GOOD), Calibration.from_json(GOOD))).write(tmp_path)
    with pytest.raises(MachineLimit, match=r"second_look\.width must be 1 to 512, not 0"):
        Manifest.read(tmp_path)
