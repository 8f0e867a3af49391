"""The couch under the back, and what lies on the patient."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from LungTumorSegLib.phantom import PhantomOptions, make_phantom
from scipy import ndimage

QUICK = {
    "spacing_mm": (8.0, 2.0, 2.9),
    "height_mm": (-40.0, 40.0),
    "lesions": (),
    "distractors": (),
    "noise_hu": 0.0,
    "circle": False,
    "arms": "up",
    "body_grid_mm": 8.0,
}


@cache
def hu(**options) -> np.ndarray:
    """HU of one patient with the given things and no others around."""
    return make_phantom(
        8, PhantomOptions(**{**QUICK, "couch": "none", "blanket": False, "leads": False, **options})
    ).ct.array.astype(int)


@pytest.mark.parametrize("couch", ["curved", "flat"])
def test_a_couch_adds_density_behind_the_patient_alone(couch):
    bare, lying = hu(), hu(couch=couch)
    rows = np.flatnonzero((np.abs(lying - bare) > 20).any(axis=(0, 2)))
    skin = np.flatnonzero((bare > -500).any(axis=(0, 2)))
    assert len(rows) > 0
    assert rows.min() > skin[0] + 0.6 * (skin[-1] - skin[0])  # a curved couch rises beside the back
    assert rows.max() > skin[-1] + 5
    inside = ndimage.binary_erosion(bare > -200, iterations=2)
    assert inside.any()
    assert np.array_equal(bare[inside], lying[inside])


def test_a_curved_couch_rises_at_its_sides_and_a_flat_one_does_not():
    for couch, rises in (("curved", True), ("flat", False)):
        added = (hu(couch=couch) - hu() > 100).any(axis=0)
        tops = [np.flatnonzero(added[:, c])[-1] for c in np.flatnonzero(added.any(axis=0))]
        assert (np.ptp(tops) > 4) == rises


def test_blanket_and_leads_lie_before_the_patient():
    bare = hu()
    front = np.flatnonzero((bare > -500).any(axis=(0, 2))).mean()
    for options, least in (({"blanket": True}, 50), ({"leads": True}, 500)):
        added = hu(**options) - bare > least
        rows = np.argwhere(added)[:, 1]
        assert len(rows) > 10
        assert np.median(rows) < front
