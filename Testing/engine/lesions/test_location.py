"""The side of a lesion."""

import numpy as np
import pytest
from chests import block, make_chest
from LungTumorSegLib.core.crops import crop_of
from LungTumorSegLib.lesions import report_lesions
from LungTumorSegLib.lesions.location import Sides
from volumes import ORIENTATIONS, SIX_ORIENTATIONS

SHAPE = (30, 40, 60)
PLACES = {
    "Left": ((10, 10, 40), (14, 15, 46)),
    "Right": ((10, 10, 8), (14, 15, 14)),
}


def side_of(chest, start, stop, order=ORIENTATIONS[0]):
    chest = chest.with_tumor(block(SHAPE, start, stop)).reordered(order)
    (lesion,) = report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0).lesions
    return lesion.side


@pytest.mark.parametrize("order", SIX_ORIENTATIONS, ids=str)
@pytest.mark.parametrize("side", PLACES)
def test_a_lesion_in_a_lung_has_the_patients_side_in_every_orientation(side, order):
    assert side_of(make_chest(), *PLACES[side], order) == side


@pytest.mark.parametrize("order", ORIENTATIONS[::5], ids=str)
def test_obliquity_does_not_change_the_side(order):
    chest = make_chest(turn_degrees=(14, -9, 25))
    assert side_of(chest, *PLACES["Left"], order) == "Left"
    assert side_of(chest, *PLACES["Right"], order) == "Right"


@pytest.mark.parametrize("order", ORIENTATIONS[::5], ids=str)
def test_a_lesion_outside_both_lungs_belongs_to_the_nearer_one(order):
    chest = make_chest(spacing=(3.0, 2.0, 6.0))  # the 4 columns between the lungs are 24 mm
    assert side_of(chest, (10, 10, 24), (14, 15, 25), order) == "Right"
    assert side_of(chest, (10, 10, 27), (14, 15, 28), order) == "Left"
    assert side_of(chest, (0, 10, 58), (2, 15, 60), order) == "Left"


def test_a_lesion_mostly_outside_the_lung_that_it_touches_belongs_to_the_lung_that_its_voxels_are_nearest_to():
    chest = make_chest(spacing=(3.0, 2.0, 6.0))
    grown_from_the_left = (10, 10, 25), (14, 15, 30)  # 2 of its 5 columns lie in the left lung, none in the right
    assert side_of(chest, *grown_from_the_left) == "Left"


def test_the_lung_with_more_of_a_lesion_wins():
    chest = make_chest(spacing=(3.0, 2.0, 6.0))
    assert side_of(chest, (10, 10, 18), (14, 15, 32)) == "Right"  # 6 columns in the right lung, 4 in the left
    assert side_of(chest, (10, 10, 20), (14, 15, 34)) == "Left"


def test_an_exact_tie_goes_to_the_right_lung():
    assert side_of(make_chest(spacing=(3.0, 2.0, 6.0)), (10, 10, 20), (14, 15, 32)) == "Right"


def test_without_lungs_the_side_is_unknown():
    chest = make_chest()
    nothing = chest.left_lung.with_array(np.zeros(SHAPE, dtype=bool))
    lesion = crop_of(chest.tumor.with_array(block(SHAPE, *PLACES["Left"])))
    assert Sides(nothing, nothing).of(lesion) is None
    assert Sides(nothing, chest.right_lung).of(lesion) == "Right"
    assert Sides(chest.left_lung, nothing).of(crop_of(chest.tumor.with_array(block(SHAPE, *PLACES["Right"])))) == "Left"
