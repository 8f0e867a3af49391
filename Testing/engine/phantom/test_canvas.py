"""The canvas: fields carried to voxels without error, boxes that hold what they should, soft coverage."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.core.volume import Grid
from LungTumorSegLib.phantom.canvas import Canvas, CoarseGrid, coverage

TURN = np.array([[0.0, -0.6, 0.8], [0.0, 0.8, 0.6], [1.0, 0.0, 0.0]])
"""Slices to the head; rows and columns turned by 37 degrees."""


def a_canvas(direction: np.ndarray) -> Canvas:
    affine = np.eye(4)
    affine[:3, :3] = direction * (3.0, 1.5, 2.0)
    affine[:3, 3] = (-20, -14, -15)
    shape = (10, 18, 21)
    coarse = CoarseGrid.around(np.array([-60.0, -50, -40]), np.array([60.0, 70, 45]))
    return Canvas(Grid(shape, affine), coarse, np.zeros(shape, np.float32))


@pytest.mark.parametrize("direction", [np.fliplr(np.eye(3)), TURN], ids=["axial", "oblique"])
def test_a_linear_field_is_sampled_exactly(direction):
    canvas = a_canvas(direction)
    x, y, z = canvas.coarse.axes()
    level = (2 * x - 3 * y + 0.5 * z + 7).astype(np.float32)
    box = (slice(2, 9), slice(3, 17), slice(1, 20))
    points = canvas.grid.index_to_lps(
        np.stack(np.meshgrid(*[np.arange(s.start, s.stop) for s in box], indexing="ij"), axis=-1)
    )
    assert canvas.sample(level, box) == pytest.approx(points @ [2, -3, 0.5] + 7, abs=1e-3)


@pytest.mark.parametrize("direction", [np.fliplr(np.eye(3)), TURN], ids=["axial", "oblique"])
def test_points_are_the_voxel_centers(direction):
    canvas = a_canvas(direction)
    box = (slice(4, 6), slice(7, 10), slice(2, 8))
    x, y, z = np.broadcast_arrays(*canvas.points(box))
    assert (x[1, 2, 3], y[1, 2, 3], z[1, 2, 3]) == pytest.approx(canvas.grid.index_to_lps((5, 9, 5)), abs=1e-4)


@pytest.mark.parametrize("direction", [np.fliplr(np.eye(3)), TURN], ids=["axial", "oblique"])
def test_a_box_holds_every_voxel_of_its_range(direction):
    canvas = a_canvas(direction)
    low, high = np.array([-8.0, -3, -9]), np.array([4.0, 6, 1])
    box = canvas.box(low, high, 0.0)
    inside = np.zeros(canvas.grid.shape, bool)
    inside[box] = True
    points = canvas.grid.index_to_lps(np.argwhere(np.ones(canvas.grid.shape, bool))).reshape(*canvas.grid.shape, 3)
    wanted = ((points >= low) & (points <= high)).all(axis=-1)
    assert wanted.any()
    assert inside[wanted].all()


def test_a_box_beside_the_grid_is_none():
    canvas = a_canvas(np.fliplr(np.eye(3)))
    assert canvas.box(np.array([500.0, 0, 0]), np.array([510.0, 5, 5])) is None


def test_coverage_is_half_at_the_surface_and_linear_over_the_edge():
    assert coverage(np.array([-9.0, -1.0, -0.5, 0.0, 0.5, 1.0, 9.0], np.float32), 2.0) == pytest.approx(
        [1, 1, 0.75, 0.5, 0.25, 0, 0]
    )


def test_painting_blends_by_coverage():
    canvas = a_canvas(np.fliplr(np.eye(3)))
    canvas.hu[:] = -1000
    x, y, z = np.broadcast_arrays(*canvas.points(canvas.everything))
    canvas.paint(canvas.everything, x - 0.0, 50.0, edge_mm=8.0)
    expected = -1000 + np.clip(0.5 - x / 8, 0, 1) * 1050
    assert canvas.hu == pytest.approx(expected, abs=1e-2)
    assert y.shape == z.shape == canvas.hu.shape


def test_a_field_is_painted_wherever_it_is_negative():
    canvas = a_canvas(TURN)
    x, y, z = canvas.coarse.axes()
    ball = np.sqrt((x - 2) ** 2 + (y + 3) ** 2 + (z - 1) ** 2) - 9
    canvas.paint_field(ball.astype(np.float32), 100.0)
    points = canvas.grid.index_to_lps(np.argwhere(np.ones(canvas.grid.shape, bool))).reshape(*canvas.grid.shape, 3)
    distance = np.linalg.norm(points - (2, -3, 1), axis=-1) - 9
    assert (canvas.hu[distance < -1.6] == 100).all()  # half a voxel's edge, and linear interpolation over 4 mm cells
    assert (canvas.hu[distance > 1.6] == 0).all()


def test_a_coarse_field_is_read_at_points():
    grid = CoarseGrid.around(np.array([-5.0, 3, 9]), np.array([25.0, 40, 60]))
    x, y, z = grid.axes()
    level = (x + 10 * y - z).astype(np.float32)
    assert grid.at(level, np.array([[1.0, 7.0, 13.0], [20.0, 30.0, 50.0]])) == pytest.approx([58, 270], abs=1e-3)
