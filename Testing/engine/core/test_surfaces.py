"""Surfaces of masks."""

from pathlib import Path

import numpy as np
import pytest
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.core.surfaces import mesh_of, surface_of, write_surface
from LungTumorSegLib.core.volume import Volume
from volumes import ORIENTATIONS, affine_of
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkFiltersCore import vtkFeatureEdges, vtkMassProperties
from vtkmodules.vtkIOGeometry import vtkOBJReader, vtkSTLReader
from vtkmodules.vtkIOPLY import vtkPLYReader

FULL_DISK = Path("/dev/full")


def a_ball(radius_mm, spacing=(2.5, 0.8, 0.7)) -> Volume:
    count = [2 * int(radius_mm / s + 2) for s in spacing]
    z, y, x = np.meshgrid(
        *[(np.arange(n) - n / 2 + 0.2) * s for n, s in zip(count, spacing, strict=True)], indexing="ij"
    )
    return Volume(x**2 + y**2 + z**2 <= radius_mm**2, affine_of(spacing, (14, -9, 25)))


def volume_ml(surface) -> float:
    mass = vtkMassProperties()
    mass.SetInputData(surface)
    return mass.GetVolume() / 1000


def points_of(surface) -> np.ndarray:
    return vtk_to_numpy(surface.GetPoints().GetData())


@pytest.mark.parametrize("radius_mm", [1.0, 2.0, 3.0, 5.0, 15.0, 40.0])
@pytest.mark.parametrize("grid_mm", [None, 2.0])
def test_a_surface_encloses_the_volume_of_its_mask(radius_mm, grid_mm):
    if grid_mm and radius_mm < 5:
        pytest.skip("A coarser grid is for lungs, not for nodules of a few of its voxels.")
    ball = a_ball(radius_mm)
    expected = np.count_nonzero(ball.array) * ball.voxel_volume_ml
    assert volume_ml(surface_of(ball, grid_mm=grid_mm)) == pytest.approx(expected, rel=0.02)


def test_a_surface_lies_where_its_mask_lies():
    ball = a_ball(15.0)
    center = ball.index_to_lps(np.argwhere(ball.array).mean(axis=0))
    for grid_mm in (None, 2.0):
        distance = np.linalg.norm(points_of(surface_of(ball, grid_mm=grid_mm)) - center, axis=1)
        assert distance.mean() == pytest.approx(15.0, abs=0.3)
        assert distance.min() > 13.5
        assert distance.max() < 16.5


def test_a_thin_edge_ends_without_teeth_on_a_coarser_grid():
    """A wedge whose edge runs at 20 degrees to the slices, as the lower edge of a lung does."""
    grid = Volume(np.zeros((60, 120, 120), bool), affine_of((1.5, 0.75, 0.75)))
    middle = grid.index_to_lps((np.array(grid.shape) - 1) / 2)
    along, up = np.array([np.cos(0.35), 0, np.sin(0.35)]), np.array([-np.sin(0.35), 0, np.cos(0.35)])
    places = grid.index_to_lps(np.argwhere(~grid.array)) - middle
    height = places @ up
    wedge = (np.abs(places[:, 1]) < 0.15 * (height + 25)) & (height < 20) & (np.abs(places @ along) < 30)
    points = points_of(surface_of(grid.with_array(wedge.reshape(grid.shape)), grid_mm=3.0)) - middle
    position = points @ along
    lowest = [(points @ up)[(position >= at) & (position < at + 2)].min() for at in range(-24, 24, 2)]
    assert np.abs(np.diff(lowest)).max() < 3.0
    assert np.mean(lowest) == pytest.approx(-18, abs=5)


def test_a_speck_beside_a_lung_is_not_drawn_but_a_small_mask_is():
    ball = a_ball(15.0, (1.0, 1.0, 1.0))
    speck = np.pad(np.zeros_like(ball.array), ((0, 0), (0, 0), (0, 20)))
    speck[15:22, 15:22, -10:-3] = True
    both = speck | np.pad(ball.array, ((0, 0), (0, 0), (0, 20)))
    alone, *reach = (
        surface_of(Volume(mask, ball.affine), grid_mm=grid_mm)
        for mask, grid_mm in ((speck, 3.0), (both, None), (both, 3.0))
    )
    assert alone.GetNumberOfPoints() > 0
    exact, coarse = (np.ptp(points_of(surface), axis=0).max() for surface in reach)
    assert exact - coarse > 10, "the exact surface shows the mask as it is"


def test_a_surface_is_closed_even_at_the_edge_of_the_volume():
    surface = surface_of(Volume(np.ones((4, 5, 6), dtype=bool), affine_of()))
    edges = vtkFeatureEdges()
    edges.SetInputData(surface)
    edges.BoundaryEdgesOn()
    edges.NonManifoldEdgesOn()
    edges.FeatureEdgesOff()
    edges.ManifoldEdgesOff()
    edges.Update()
    assert surface.GetNumberOfCells() > 0
    assert edges.GetOutput().GetNumberOfCells() == 0


@pytest.mark.parametrize("order", ORIENTATIONS[::5], ids=str)
def test_the_order_of_axes_changes_no_surface(order):
    ball = a_ball(6.0)
    np.testing.assert_allclose(points_of(surface_of(order.apply(ball))), points_of(surface_of(ball)), atol=1e-3)


def test_no_voxel_gives_an_empty_surface():
    assert surface_of(Volume(np.zeros((3, 4, 5), dtype=bool), affine_of())).GetNumberOfPoints() == 0


@pytest.mark.skipif(not FULL_DISK.exists(), reason="Only Linux has a device that is always full.")
def test_a_surface_that_the_disk_cuts_off_is_an_error(tmp_path):
    (tmp_path / "lung.vtp").symlink_to(FULL_DISK)
    with pytest.raises(MachineLimit, match="could not be written; free some disk space"):
        write_surface(surface_of(a_ball(5.0)), tmp_path / "lung.vtp")


def test_a_mesh_is_seen_counterclockwise_from_outside_and_encloses_its_voxels_less_their_corners():
    mask = np.zeros((3, 4, 5), dtype=bool)
    mask[1, 1:3, 1:4] = True
    for order in ORIENTATIONS[::11]:
        vertices, triangles = mesh_of(order.apply(Volume(mask, affine_of((2, 2, 2), (14, -9, 25)))))
        a, b, c = (vertices - vertices.mean(axis=0))[triangles].transpose(1, 0, 2)
        # the 12 edges and 8 corners of the box of 2 x 4 x 6 mm are cut at the middle of its voxels
        assert np.einsum("ij,ij->", np.cross(a, b), c) / 6 == pytest.approx(88 / 3)
        np.testing.assert_allclose(
            np.ptp(vertices @ affine_of((1, 1, 1), (14, -9, 25))[:3, :3], axis=0), (2, 4, 6), atol=1e-9
        )


@pytest.mark.parametrize(
    ("suffix", "reader", "states"),
    [("stl", vtkSTLReader, True), ("obj", vtkOBJReader, False), ("ply", vtkPLYReader, True)],
)
def test_other_programs_read_the_same_surface_in_lps(tmp_path, suffix, reader, states):
    surface, path = surface_of(a_ball(8.0)), tmp_path / f"lung.{suffix}"
    write_surface(surface, path)
    reading = reader()
    reading.SetFileName(str(path))
    reading.Update()
    found = reading.GetOutput()
    assert volume_ml(found) == pytest.approx(volume_ml(surface), rel=1e-3)
    for end in (np.min, np.max):
        assert end(points_of(found), axis=0) == pytest.approx(end(points_of(surface), axis=0), abs=1e-3)
    assert (b"SPACE=LPS" in path.read_bytes()) == states
