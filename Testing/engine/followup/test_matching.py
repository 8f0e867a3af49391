"""Matching of lesions by place, size and density; the user has the last word."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.followup.matching import Placed, match


def ball(x, radius=6.0, y=0.0, hu=None):
    grid = np.stack(np.meshgrid(*[np.arange(-radius, radius + 0.5)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    points = grid[np.linalg.norm(grid, axis=1) <= radius] + (x, y, 0)
    return Placed(points, 4 / 3 * np.pi * radius**3 / 1000, hu)


def kinds(groups):
    return [(group.kind, group.earlier, group.later) for group in groups]


def test_each_lesion_finds_itself_whatever_the_order():
    found = match([ball(0), ball(40), ball(80)], [ball(82), ball(1), ball(39)])
    assert kinds(found) == [("matched", (0,), (1,)), ("matched", (1,), (2,)), ("matched", (2,), (0,))]
    assert all(group.confidence > 0.9 for group in found)


def test_what_has_no_partner_is_new_or_gone():
    assert kinds(match([ball(0), ball(60)], [ball(0), ball(120)])) == [
        ("matched", (0,), (0,)),
        ("gone", (1,), ()),
        ("new", (), (1,)),
    ]


@pytest.mark.parametrize(("earlier", "later", "kind"), [([], [ball(0)], "new"), ([ball(0)], [], "gone")])
def test_one_side_may_be_empty(earlier, later, kind):
    assert [group.kind for group in match(earlier, later)] == [kind]


def test_no_lesions_at_all_give_no_groups():
    assert match([], []) == []


def test_two_pieces_at_the_place_of_one_lesion_are_a_split():
    assert kinds(match([ball(0, 12)], [ball(-8, 5), ball(8, 5)])) == [("split", (0,), (0, 1))]


def test_two_lesions_at_the_place_of_one_have_merged():
    assert kinds(match([ball(-8, 5), ball(8, 5)], [ball(0, 12)])) == [("merged", (0, 1), (0,))]


def test_a_new_lesion_beside_a_grown_one_is_no_piece_of_it():
    assert kinds(match([ball(0, 6)], [ball(0, 7), ball(22, 5)])) == [("matched", (0,), (0,)), ("new", (), (1,))]


def test_of_two_neighbors_the_density_decides():
    found = match([ball(0, 5, hu=-600), ball(9, 5, hu=40)], [ball(4, 5, hu=40), ball(5, 5, y=1, hu=-600)])
    assert kinds(found) == [("matched", (0,), (1,)), ("matched", (1,), (0,))]


@pytest.mark.parametrize(("residual_mm", "kind"), [(0.0, "gone"), (5.0, "matched")])
def test_a_larger_residual_widens_the_gate(residual_mm, kind):
    assert match([ball(0)], [ball(19)], residual_mm=residual_mm)[0].kind == kind


def test_the_user_links_lesions_far_apart():
    found = match([ball(0)], [ball(90)], links=[(0, 0)])
    assert kinds(found) == [("matched", (0,), (0,))]
    assert found[0].confidence == 1


def test_a_link_takes_both_out_of_the_automatic_match():
    found = match([ball(0), ball(50)], [ball(0), ball(50)], links=[(0, 1)])
    assert kinds(found) == [("matched", (0,), (1,)), ("gone", (1,), ()), ("new", (), (0,))]


def test_the_user_unlinks_what_lies_at_one_place():
    assert [group.kind for group in match([ball(0)], [ball(0)], unlinks=[(0, 0)])] == ["gone", "new"]


def test_without_the_automatic_match_only_links_count():
    found = match([ball(0), ball(50)], [ball(0), ball(50)], links=[(1, 1)], automatic=False)
    assert kinds(found) == [("gone", (0,), ()), ("matched", (1,), (1,)), ("new", (), (0,))]
