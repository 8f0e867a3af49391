"""What a caller may ask for, and what is refused."""

from __future__ import annotations

import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.phantom import PhantomOptions
from LungTumorSegLib.phantom.patient import draw_patient


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spacing_mm": (2.5, 1.0, 0.1)}, "spacing must be from 0.3 to 10.0 mm"),
        ({"spacing_mm": (2.5, float("nan"), 1.0)}, "spacing must be from"),
        ({"direction": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, 0.0, 1.0))}, "orthonormal columns"),
        ({"height_mm": (40.0, -40.0)}, "lowest below highest"),
        ({"lesion_diameter_mm": (1.0, 20.0)}, "within 3 to 100 mm"),
        ({"lesion_diameter_mm": (30.0, 20.0)}, "within 3 to 100 mm"),
        ({"couch": "round"}, "no couch named 'round'; choose from curved, flat, none"),
        ({"arms": "akimbo"}, "no arms named 'akimbo'"),
        ({"distractors": ("effusion", "cough")}, "no distractor named 'cough'"),
        ({"noise_hu": -1.0}, "noise_hu must not be negative"),
        ({"emphysema": 0.6}, "0 to 0.5"),
        ({"body_grid_mm": 1.0}, "must be from 2.0 to 8.0 mm, not 1.0"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(UnusableInput, match=message):
        PhantomOptions(**options)


def test_what_is_settled_is_not_drawn():
    options = PhantomOptions(
        scoliosis_mm=-12.0, couch="none", arms="down", noise_hu=0.0, blanket=True, leads=False, distractors=()
    )
    for seed in range(5):
        patient = draw_patient(seed, options)
        assert patient.scoliosis_mm == -12.0
        assert (patient.couch, patient.arms, patient.noise_hu) == ("none", "down", 0.0)
        assert (patient.blanket, patient.leads, patient.distractors) == (True, False, ())


def test_settling_one_thing_leaves_the_rest_of_the_patient():
    free, settled = draw_patient(3, PhantomOptions()), draw_patient(3, PhantomOptions(couch="none", noise_hu=5.0))
    assert free.scale == settled.scale
    assert free.lung_hu == settled.lung_hu
    assert free.distractors == settled.distractors


def test_no_contrast_agent_leaves_blood_as_it_is():
    patient = draw_patient(3, PhantomOptions(enhancement_hu=0.0))
    assert 30 < patient.blood_hu == patient.venous_hu < 55
    assert draw_patient(3, PhantomOptions(enhancement_hu=150.0)).blood_hu == pytest.approx(patient.blood_hu + 150)


def test_patients_differ():
    patients = [draw_patient(seed, PhantomOptions()) for seed in range(60)]
    assert {p.couch for p in patients} == {"curved", "flat", "none"}
    assert {p.arms for p in patients} == {"up", "down"}
    assert {p.breasts > 0 for p in patients} == {True, False}
    assert {p.blood_hu > 90 for p in patients} == {True, False}
    assert len({p.scale for p in patients}) == 60
