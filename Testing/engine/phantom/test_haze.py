"""Density that is no tumor."""

from functools import cache

import numpy as np
import pytest
from LungTumorSegLib.phantom import PhantomOptions, make_phantom
from LungTumorSegLib.phantom.patient import draw_patient

COARSE = {"spacing_mm": (8.0, 4.1, 3.7), "lesions": (), "noise_hu": 0.0, "body_grid_mm": 8.0}


@cache
def patient_with(*distractors):
    """One patient, without density or with one kind of it."""
    return make_phantom(3, PhantomOptions(**COARSE, distractors=distractors))


@pytest.mark.parametrize("distractor", ["dependent", "ventral", "pneumonia"])
def test_density_appears_in_the_lungs_alone_and_nothing_becomes_less_dense(distractor):
    before, after = patient_with(), patient_with(distractor)
    change = after.ct.array.astype(int) - before.ct.array
    lungs = before.lungs.array > 0
    assert change.min() >= -1  # rounding
    assert change[lungs].max() > 150
    assert (np.abs(change[~lungs]) > 60).mean() < 0.002  # blur at the edge
    np.testing.assert_array_equal(after.lungs.array, before.lungs.array)


@pytest.mark.parametrize(("distractor", "down"), [("dependent", 1), ("ventral", -1)])
def test_dependent_density_lies_where_the_patient_lay(distractor, down):
    before, after = patient_with(), patient_with(distractor)
    change = after.ct.array.astype(float) - before.ct.array
    _, rows, _ = np.nonzero(before.lungs.array)
    in_lung = change[before.lungs.array > 0]
    low = down * (rows - np.median(rows))
    assert in_lung[low > 0].mean() > 3 * max(in_lung[low < 0].mean(), 1)


def test_breathing_moves_the_diaphragm_and_its_truth_but_not_the_apices():
    before, after = patient_with(), patient_with("breathing")
    change = np.abs(after.ct.array.astype(int) - before.ct.array)
    z = before.ct.index_to_lps([(k, 0, 0) for k in range(before.ct.shape[0])])[:, 2]
    assert change[z > 30].max() < 200  # edges, moved by less than a millimeter
    assert (change[(z > -140) & (z < -80)] > 300).mean() > 0.004
    moved = after.lungs.array != before.lungs.array
    assert moved.any()
    assert after.ct.array[after.lungs.array > 0].mean() == pytest.approx(
        before.ct.array[before.lungs.array > 0].mean(), abs=15
    )


def test_drawn_patients_have_it_only_where_it_is_named():
    drawn = {name for seed in range(60) for name in draw_patient(seed, PhantomOptions()).distractors}
    assert drawn == {"collapse", "effusion", "scars"}
