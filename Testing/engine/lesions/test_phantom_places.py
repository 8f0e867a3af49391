"""Places that a phantom's lesions are known to have, measured on its true masks."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.isolation import carina_of
from LungTumorSegLib.lesions import report_lesions
from LungTumorSegLib.phantom import LesionSpec, PhantomOptions, make_phantom

LESIONS = (
    LesionSpec("solid", 24.0, "pleura", "left"),
    LesionSpec("solid", 20.0, "diaphragm", "right"),
    LesionSpec("solid", 30.0, "mediastinum", "left"),
    LesionSpec("solid", 14.0, "lung", "left"),
)
SPACING_MM = (3.5, 2.5, 2.5)


@pytest.fixture(scope="module")
def places():
    """Truth and location of each lesion by its place, measured one at a time, and the carina."""
    phantom = make_phantom(
        7402, PhantomOptions(spacing_mm=SPACING_MM, lesions=LESIONS, distractors=(), body_grid_mm=8.0)
    )
    left, right = (phantom.lungs.with_array(phantom.lungs.array == label) for label in (1, 2))
    carina_lps = carina_of(phantom.ct)
    found = {}
    for truth in phantom.lesions:
        mask = phantom.tumor.with_array(phantom.tumor.array == truth.label)
        (lesion,) = report_lesions(mask, phantom.ct, left, right, min_lesion_ml=0.0, carina_lps=carina_lps).lesions
        found[truth.place] = truth, lesion, phantom
    return found, carina_lps


def test_sides_and_sizes_are_those_that_were_made(places):
    for truth, lesion, phantom in places[0].values():
        assert lesion.side == ("Left" if truth.center_lps_mm[0] > phantom.spine_points_lps[:, 0].mean() else "Right")
        assert lesion.volume_ml == pytest.approx(truth.volume_ml, rel=1e-6)
        assert lesion.long_axis_mm < 1.8 * truth.diameter_mm  # lobulated, cut by nothing but organs


def test_a_lesion_at_the_pleura_touches_the_chest_wall_alone(places):
    pleura = places[0]["pleura"][1].location.pleura
    assert pleura.chest_wall_cm2 > 2
    assert pleura.mediastinum_cm2 == pleura.diaphragm_cm2 == 0
    assert pleura.distance_mm == 0


def test_a_lesion_on_the_diaphragm_touches_it(places):
    location = places[0]["diaphragm"][1].location
    assert location.zone == "lower"
    assert location.pleura.diaphragm_cm2 > 1


def test_a_mediastinal_mass_touches_the_mediastinum_on_all_its_sides(places):
    location = places[0]["mediastinum"][1].location
    assert location.depth == "central"
    assert location.pleura.mediastinum_cm2 > 5 * location.pleura.chest_wall_cm2


def test_distances_to_the_carina_are_those_of_the_true_masks(places):
    found, carina_lps = places
    np.testing.assert_allclose(
        carina_lps, (0, 12, 0), atol=15
    )  # the model's; a patient's varies, and the lumens part below it
    for _, lesion, phantom in found.values():
        mask = phantom.tumor.array == 0
        points = phantom.ct.index_to_lps(np.argwhere(~mask))
        own = points[np.linalg.norm(points - lesion.centroid_lps, axis=1) < 1.8 * lesion.long_axis_mm]
        expected = np.linalg.norm(own - carina_lps, axis=1).min()
        assert lesion.location.carina_mm == pytest.approx(expected, abs=max(SPACING_MM))
