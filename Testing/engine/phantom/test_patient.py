"""The warp from the model chest to a patient and back."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.phantom import PhantomOptions
from LungTumorSegLib.phantom.patient import draw_patient, stream


def test_to_model_undoes_to_lps():
    patient = draw_patient(2, PhantomOptions(scoliosis_mm=28.0))
    points = np.random.default_rng(0).uniform((-150, -110, -200), (150, 110, 110), (500, 3))
    back = np.stack(patient.to_model(*patient.to_lps(points).T.astype(np.float32)), axis=-1)
    assert back == pytest.approx(points, abs=1e-3)


def test_the_spine_moves_more_than_the_sternum():
    patient = draw_patient(2, PhantomOptions(scoliosis_mm=20.0))
    spine, sternum = patient.to_lps(np.array([[0.0, 50, -40], [0.0, -100, -40]]))[:, 0]
    assert spine == pytest.approx(20, abs=0.5)
    assert 0 < sternum < 10


def test_topics_have_independent_numbers():
    assert stream(1, "lungs").random() == stream(1, "lungs").random()
    assert stream(1, "lungs").random() != stream(1, "noise").random()
    assert stream(1, "lungs").random() != stream(2, "lungs").random()
