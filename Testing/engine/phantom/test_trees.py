"""Vessel and airway trees: connected, inside their lung, radii after Murray's law."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.core.volume import Grid
from LungTumorSegLib.phantom.canvas import Canvas, CoarseGrid
from LungTumorSegLib.phantom.trees import (
    MURRAY_EXPONENT,
    TIP_RADIUS_MM,
    Tree,
    bronchi_beside,
    grow,
    paint_airways,
    paint_vessels,
    unbranched_tree,
)


@pytest.fixture
def a_tree() -> Tree:
    rng = np.random.default_rng(3)
    return grow(np.array([0.0, 0, 0]), np.array([1.0, 0, 0]), rng.uniform((10, -40, -50), (90, 40, 50), (120, 3)), rng)


def a_canvas() -> Canvas:
    affine = np.diag([0.0, 0, 0, 1])
    affine[2, 0], affine[1, 1], affine[0, 2] = 2.0, 1.0, 1.0
    affine[:3, 3] = (-20, -20, -20)
    shape = (21, 41, 61)
    return Canvas(
        Grid(shape, affine), CoarseGrid.around(np.full(3, -20.0), np.full(3, 44.0)), np.full(shape, -800, np.float32)
    )


def test_every_target_is_reached_and_every_node_has_a_parent_before_it(a_tree):
    rng = np.random.default_rng(3)
    targets = rng.uniform((10, -40, -50), (90, 40, 50), (120, 3))
    distance = np.linalg.norm(a_tree.nodes[:, None] - targets[None], axis=-1).min(axis=0)
    assert distance.max() < 1e-6
    assert a_tree.parents[0] == -1
    assert (a_tree.parents[1:] < np.arange(1, len(a_tree.nodes))).all()


def test_radii_follow_murrays_law(a_tree):
    children = np.zeros(len(a_tree.nodes))
    np.add.at(children, a_tree.parents[1:], a_tree.radii[1:] ** MURRAY_EXPONENT)
    branching = children > 0
    assert a_tree.radii[branching] ** MURRAY_EXPONENT == pytest.approx(children[branching])
    assert (a_tree.radii[~branching] == TIP_RADIUS_MM).all()


def test_bronchi_run_beside_thick_arteries_without_touching(a_tree):
    root = np.array([-5.0, 6, -3])
    bronchi = bronchi_beside(a_tree, root, np.random.default_rng(0))
    assert bronchi.nodes[0] == pytest.approx(root)
    assert 1 < len(bronchi.nodes) < len(a_tree.nodes)
    kept = a_tree.radii >= a_tree.radii[np.argsort(-a_tree.radii)[len(bronchi.nodes) - 1]]
    gap = np.linalg.norm(bronchi.nodes - a_tree.nodes[kept], axis=1) - bronchi.radii - a_tree.radii[kept]
    assert (gap[1:] > 0).all()


def test_a_painted_vessel_is_blood_inside_and_lung_outside():
    canvas = a_canvas()
    paint_vessels(canvas, [unbranched_tree(np.array([[-30.0, 0, 0, 5], [50.0, 0, 0, 5]]))], 150.0)
    x, y, z = np.broadcast_arrays(*canvas.points(canvas.everything))
    distance = np.hypot(y, z) - 5
    assert (canvas.hu[distance < -1] == 150).all()
    assert (canvas.hu[distance > 1] == -800).all()
    assert x.shape == canvas.hu.shape


def test_an_airway_is_air_in_a_wall_and_branches_open_into_each_other():
    canvas = a_canvas()
    stem = unbranched_tree(np.array([[-30.0, 0, 0, 4], [50.0, 0, 0, 4]]))
    branch = unbranched_tree(np.array([[0.0, 0, 0, 3], [0.0, 30.0, 0, 3]]))
    paint_airways(canvas, [stem, branch])
    column = canvas.hu[10, :, 20]  # x = 0, z = 0: from the stem's center along the branch
    assert (column[20:40] < -990).all()
    across = canvas.hu[10, :, 50]  # x = 30: only the stem
    assert across[20] < -990
    assert across[24:27].max() > -600  # a wall of 0.9 mm in voxels of 1 mm
    assert across[30] == -800
