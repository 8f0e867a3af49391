"""What the second network answers at a place."""

from __future__ import annotations

import numpy as np
from LungTumorSegLib.refinement.crops import Anatomy
from LungTumorSegLib.refinement.look import look_at

from .conftest import CENTER, ball_ct


def test_a_correction_of_the_outline_widens_it_and_leaves_the_probability_of_a_tumor(network):
    ct = ball_ct()
    anatomy = Anatomy.of(ct, np.ones(ct.shape, bool))
    plain, wide = (look_at(network, ct, anatomy, [(CENTER, 56.0)], shift)[0] for shift in (0.0, 4.0))
    assert (wide.inside >= plain.inside).all()
    assert wide.mask.sum() > plain.mask.sum()
    assert wide.tumor_logit == plain.tumor_logit
