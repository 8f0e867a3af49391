"""What the second network answers at a place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from LungTumorSegLib.networks.second_network import SecondNetwork
from LungTumorSegLib.refinement.look import MIRRORED, TURNED, SecondReader
from LungTumorSegLib.refinement.views import Anatomy

from .conftest import CENTER, ball_ct


def test_a_correction_of_the_outline_widens_it_and_leaves_the_probability_of_a_tumor(network):
    ct = ball_ct()
    anatomy = Anatomy.of(ct, np.ones(ct.shape, bool))
    plain, wide = (SecondReader(network, ct, anatomy, shift).look(CENTER, 56.0) for shift in (0.0, 4.0))
    assert (wide.inside >= plain.inside).all()
    assert wide.mask.sum() > plain.mask.sum()
    assert wide.tumor_logit == plain.tumor_logit


def test_an_outline_from_all_sides_is_that_of_no_side():
    """A ball is the same from all sides, but a network is not: its outline is, if it looks from all of them."""
    torch.manual_seed(1)
    ct, network = ball_ct(), SecondNetwork(4).eval()
    network.mask.weight.data *= 30  # random weights alone give nearly the same probability everywhere
    reader = SecondReader(network, ct, Anatomy.of(ct, np.ones(ct.shape, bool)))
    usual, turned = (reader.look(CENTER, 56.0, views) for views in (MIRRORED, TURNED))
    for axis in range(3):
        np.testing.assert_allclose(turned.inside, np.flip(turned.inside, axis), atol=1e-4)
    assert np.abs(usual.inside - usual.inside[::-1]).max() > 0.003
    assert turned.tumor_logit == pytest.approx(usual.tumor_logit, abs=1e-4)
