"""Trachea and main bronchi are found, and nothing of the lungs with them."""

from dataclasses import replace

import numpy as np
from LungTumorSegLib.isolation.airways import find_airways
from simple_chest import CARINA_Z_MM, X, Y, Z, tube


def airways_of(chest):
    return find_airways(chest.ct, chest.volume("body")).array


def test_the_trachea_is_found_from_the_neck_to_the_carina(a_chest):
    np.testing.assert_array_equal(airways_of(a_chest) & (Z > CARINA_Z_MM), a_chest.airways & (Z > CARINA_Z_MM))


def test_main_bronchi_are_found_until_they_enter_the_lungs(a_chest):
    found = airways_of(a_chest) & (Z < CARINA_Z_MM)
    expected = a_chest.airways & (Z < CARINA_Z_MM)
    assert found[expected & (np.abs(X) < 10)].all()
    assert not found[a_chest.lungs & (np.abs(X) > 40)].any()


def test_a_thin_wall_between_trachea_and_lung_is_no_leak(a_chest):
    touching = a_chest.painted(
        (np.abs(X + 14) < 6) & (np.abs(Y + 10) < 12) & (np.abs(Z - 90) < 12) & ~tube(0, -10, 9), -850
    )
    leaky = touching.painted(
        tube(-10, -10, 2) & (np.abs(Z - 90) < 12), -920
    )  # the wall itself, blurred by air on both sides
    found = airways_of(leaky)
    assert found[a_chest.airways & (Z > CARINA_Z_MM)].mean() > 0.95
    assert not found[a_chest.lungs & (Z > CARINA_Z_MM)].any()


def test_the_tip_of_a_lung_is_no_airway(a_chest):
    without_trachea = a_chest.painted(a_chest.airways, 40)
    assert not airways_of(without_trachea).any()


def test_a_short_air_pocket_is_no_airway(a_chest):
    pocket = a_chest.painted(a_chest.airways, 40).painted(tube(0, -30, 8) & (np.abs(Z - 130) < 15), -1000)
    assert not airways_of(pocket).any()


def with_recess(chest):
    """Return a chest whose trachea ends above a recess of lung that is as wide as an airway."""
    closed = chest.painted(chest.airways & (Z < CARINA_Z_MM), 40)
    return closed.painted(tube(0, -10, 9) & (Z < CARINA_Z_MM) & (Z > 40), -1000).painted(
        tube(3, -10, 14) & (Z <= 40), -800
    )


def test_a_recess_of_lung_below_an_airway_is_no_airway(a_chest):
    found = airways_of(with_recess(a_chest))
    assert found[tube(0, -10, 8) & (Z > 45)].all()
    assert not found[np.broadcast_to(Z < 38, found.shape)].any()


def test_the_airways_of_a_clipped_ct_are_found(a_chest):
    clipped = replace(a_chest, hu=np.maximum(a_chest.hu, -800))
    np.testing.assert_array_equal(airways_of(clipped)[Z[:, 0, 0] > 75], airways_of(a_chest)[Z[:, 0, 0] > 75])
