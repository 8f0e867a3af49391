"""The body is the body: without the table, its foam, blankets and leads, and with the lungs."""

import numpy as np
import pytest
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.isolation.body import find_body
from simple_chest import AFFINE, COUCH_TOP_MM, SHAPE, SPACING, X, Y, Z, dice


def body_of(chest):
    return find_body(chest.ct).array


def test_the_body_holds_lungs_and_airways(a_chest):
    body = body_of(a_chest)
    assert body[a_chest.lungs | a_chest.airways].all()
    assert dice(body, a_chest.body) > 0.999  # the opening may cut a voxel off where the outline has a corner


def test_a_flat_couch_under_a_resting_back_is_no_body(a_chest_on_a_couch):
    body = body_of(a_chest_on_a_couch)
    assert not body[np.broadcast_to(Y > COUCH_TOP_MM - 2.2, SHAPE)].any()
    assert dice(body, a_chest_on_a_couch.body) > 0.98  # the table top hides 4 mm of the back


def test_a_curved_couch_is_no_body_and_costs_no_back(a_chest):
    sag = (X / 150) ** 2 * 25
    shell = np.abs(Y - (COUCH_TOP_MM + 3 - sag)) < 2.0
    chest = a_chest.painted(shell & (np.abs(X) < 150) & ~a_chest.body, -150)
    body = body_of(chest)
    assert body[a_chest.body].all()
    assert (
        body & ~a_chest.body
    ).sum() < 0.005 * a_chest.body.sum()  # where shell and skin touch, a voxel of the shell may stay


def test_blanket_and_leads_are_no_body(a_chest_on_a_couch, a_chest):
    lead = a_chest_on_a_couch.painted((X - 30) ** 2 + (Y + 106) ** 2 + 0 * Z < 3**2, 2000)
    front = slice(0, 60)
    assert dice(body_of(lead)[:, front], a_chest.body[:, front]) > 0.998


@pytest.mark.parametrize("columns", [slice(45, None), slice(None, 110)], ids=["right side cut", "left half missing"])
def test_lungs_that_the_image_cuts_are_body(a_chest, columns):
    cut = Volume(a_chest.ct.array[..., columns], AFFINE)
    body = find_body(cut).array
    assert body[a_chest.lungs[..., columns]].all()
    assert dice(body, a_chest.body[..., columns]) > 0.998


def test_lungs_that_the_scanned_circle_cuts_are_body(a_chest):
    circle = np.broadcast_to(X**2 + Y**2 < 92**2, SHAPE)
    body = body_of(a_chest.painted(~circle, -1024))
    assert body[a_chest.lungs & circle].all()
    assert not body[~circle].any()


def test_foam_behind_a_cut_body_is_no_lung(a_chest_on_a_couch):
    cut = Volume(a_chest_on_a_couch.ct.array[..., 60:-60], AFFINE)  # back and table run from border to border
    assert not find_body(cut).array[:, 128:].any()


def test_a_chest_wall_of_8_mm_keeps_the_lung_in(a_chest):
    behind_wall = (X / 132) ** 2 + (Y / 87) ** 2 <= 1
    thin = a_chest.painted(behind_wall & (Y < -40) & (np.abs(X + 50) < 30) & (np.abs(Z - 55) < 30), -850)
    assert dice(body_of(thin), a_chest.body) > 0.999


def test_air_alone_has_no_body():
    assert not find_body(Volume(np.full((6, 20, 22), -1000, np.int16), AFFINE)).array.any()


def test_spacing_counts_not_voxels(a_chest_on_a_couch):
    thinned = Volume(a_chest_on_a_couch.ct.array[:, :, ::2], AFFINE @ np.diag([1, 1, 2, 1]))
    body = find_body(thinned).array
    assert thinned.spacing == pytest.approx((SPACING[0], SPACING[1], 2 * SPACING[2]))
    assert dice(body, a_chest_on_a_couch.body[:, :, ::2]) > 0.98


def test_the_back_wall_of_a_small_chest_is_no_couch(a_chest_on_a_couch, a_chest):
    """Its ribs are as thin as a table top and keep their place as well: lung in front of them tells them apart."""
    small = AFFINE.copy()
    small[:3] *= 0.6
    whole = find_body(Volume(a_chest_on_a_couch.ct.array, AFFINE))
    found = find_body(Volume(a_chest_on_a_couch.ct.array, small))
    assert found.array[a_chest.lungs].all()
    assert dice(found.array, whole.array) > 0.98


def test_a_couch_in_front_of_a_prone_patient_is_no_body(a_chest_on_a_couch):
    supine = find_body(Volume(a_chest_on_a_couch.ct.array, AFFINE))
    prone = find_body(Volume(np.ascontiguousarray(a_chest_on_a_couch.ct.array[:, ::-1]), AFFINE))
    assert dice(prone.array[:, ::-1], supine.array) > 0.995
