"""Calibration: honest about new sources, and equal to the regression that it was fitted as."""

from typing import get_args

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.refinement.calibration import TUMOR_LOGIT
from LungTumorSegLib.refinement.candidates import find_candidates
from LungTumorSegLib.training.second_look.calibration import (
    Judged,
    fit,
    judged_candidates,
    leave_one_source_out,
    nature_of,
    summary,
)
from LungTumorSegLib.training.second_look.config import Measure
from LungTumorSegLib.training.store import IGNORED

NAMES = ["a", "b"]


def candidates(sources=("x", "y", "z"), each=20):
    rng = np.random.default_rng(0)
    made = []
    for source in sources:
        for index in range(each):
            tumor = index % 2 == 0
            measures = {"a": float(rng.normal(3 * tumor, 1)), "b": float(rng.normal(100, 50))}
            made.append(Judged(source, source, tumor, measures))
    return made


def test_the_coefficients_belong_to_the_measures_in_their_own_units():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    made = candidates()
    values = np.array([[each.measures[name] for name in NAMES] for each in made])
    scaled = StandardScaler().fit_transform(values)
    model = LogisticRegression(C=0.5, class_weight="balanced").fit(scaled, [each.tumor for each in made])
    calibration = fit(made, NAMES)
    found = [calibration.probability(each.measures) for each in made]
    np.testing.assert_allclose(found, model.predict_proba(scaled)[:, 1], atol=1e-9)
    assert calibration.weights["a"] > 0


def test_a_source_has_no_influence_on_its_own_probabilities():
    made = candidates()
    honest = leave_one_source_out(made, NAMES)
    lying = [Judged("x", c.case, not c.tumor, c.measures) if c.source == "x" else c for c in made]
    of_x = np.array([each.source == "x" for each in made])
    changed = leave_one_source_out(lying, NAMES)
    np.testing.assert_array_equal(changed[of_x], honest[of_x])
    assert not np.isclose(changed[~of_x], honest[~of_x]).any()


def test_the_summary_counts_by_source():
    made = candidates()
    found = summary(made, leave_one_source_out(made, NAMES))
    assert found["auc"] > 0.9
    assert set(found["sources"]) == {"x", "y", "z"}
    assert found["sources"]["x"]["tumors"] == found["sources"]["x"]["others"] == 10


def test_one_source_alone_cannot_be_calibrated():
    with pytest.raises(UnusableInput, match="folds"):
        leave_one_source_out(candidates(("x",)), NAMES)


def test_a_candidate_is_what_its_core_overlaps(cases):
    scan = cases[0].scan
    natures = {}
    for candidate in find_candidates(scan.volume("probability"), min_ml=0.04):
        natures[nature_of(candidate, scan.probability, scan.label)] = candidate
    lesion = natures[True]
    assert nature_of(lesion, scan.probability, np.zeros_like(scan.label)) is False
    assert nature_of(lesion, scan.probability, np.full_like(scan.label, IGNORED)) is None


def test_every_candidate_of_a_case_and_its_copies_is_measured(cases, density_network):
    judged = list(judged_candidates(density_network, cases[0]))
    assert {each.source for each in judged} == {"hospital"}
    assert sum(each.tumor for each in judged) > 2  # two lesions of the CT, again in the copy, and the implanted ones
    assert set(judged[0].measures) == set(get_args(Measure))
    assert all(np.isfinite(list(each.measures.values())).all() and TUMOR_LOGIT in each.measures for each in judged)
