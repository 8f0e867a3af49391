"""Surfaces of masks, in LPS millimeters: as they are for measurement, smooth for the eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkCommonTransforms import vtkTransform
from vtkmodules.vtkFiltersCore import (
    vtkFlyingEdges3D,
    vtkMassProperties,
    vtkPolyDataNormals,
    vtkWindowedSincPolyDataFilter,
)
from vtkmodules.vtkFiltersGeneral import vtkTransformPolyDataFilter
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from .boxes import bounding_box
from .errors import MachineLimit
from .volume import Array, Volume

SMOOTHING_ITERATIONS, SMOOTHING_PASS_BAND = 20, 0.05
"""Windowed sinc (Taubin 1996, doi:10.1145/237170.237192): takes away the steps between voxels and keeps larger shapes as they are."""

VOLUME_TOLERANCE = 0.001
MOST_VOLUME_STEPS = 20
"""Newton steps, at most, that give a smoothed surface its mask's volume again; three are enough but for a handful of voxels."""


def surface_of(mask: Volume, *, grid_mm: float | None = None) -> vtkPolyData:
    """The smooth closed surface of a mask (bool, any axis order) in LPS mm, normals outward; empty where no voxel is true.

    Its volume is that of the mask's voxels within 2 %. ``grid_mm`` takes a coarser grid of about that spacing first.
    """
    box = bounding_box(mask.array)
    if box is None:
        return vtkPolyData()
    crop = mask.canonical_axes().apply(mask.crop(*box))
    volume_ml = np.count_nonzero(crop.array) * crop.voxel_volume_ml
    occupied = _occupancy(crop, grid_mm)
    smooth = vtkWindowedSincPolyDataFilter()
    smooth.SetInputData(_placed(_half_surface(occupied), occupied))
    smooth.SetNumberOfIterations(SMOOTHING_ITERATIONS)
    smooth.SetPassBand(SMOOTHING_PASS_BAND)
    smooth.NormalizeCoordinatesOn()
    smooth.NonManifoldSmoothingOn()
    smooth.BoundarySmoothingOff()
    smooth.FeatureEdgeSmoothingOff()
    smooth.Update()
    return _with_volume(smooth.GetOutput(), volume_ml)


def mesh_of(mask: Volume) -> tuple[Array, Array]:
    """The unsmoothed surface of a mask (bool): vertices (n, 3) in LPS mm, triangles (m, 3) of their indices, counterclockwise from outside.

    Marching cubes at half occupancy over the mask with a rim of empty voxels, as the Image Biomarker Standardisation Initiative
    asks for (doi:10.1148/radiol.2020191145).
    """
    occupied = _occupancy(mask.canonical_axes().apply(mask), None)
    xyz_index, triangles = triangles_of(_half_surface(occupied))  # halves, and so exact in vtk's single precision
    return occupied.index_to_lps(xyz_index[:, ::-1]), triangles


def write_surface(surface: vtkPolyData, path: Path) -> None:
    """Writes a surface as VTK XML (.vtp), points in LPS mm. Raises MachineLimit if the file cannot be written."""
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(surface)
    writer.SetFileName(str(path))
    if not writer.Write() or writer.GetErrorCode():  # Write alone calls a cut-off file a success
        raise MachineLimit(f"{path} could not be written; free some disk space or choose another output folder.")


def triangles_of(surface: vtkPolyData) -> tuple[Array, Array]:
    """Vertices (n, 3; mm) and triangles (m, 3) of a surface."""
    triangles = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).astype(int).reshape(-1, 3)
    return vtk_to_numpy(surface.GetPoints().GetData()).astype(float), triangles


def _half_surface(volume: Volume) -> vtkPolyData:
    """The surface on which ``volume`` is one half, in vtk's (column, row, slice) index."""
    edges = vtkFlyingEdges3D()
    edges.SetInputData(_image(volume))
    edges.SetValue(0, 0.5)
    edges.ComputeNormalsOff()
    edges.ComputeGradientsOff()
    edges.ComputeScalarsOff()
    edges.Update()
    surface: vtkPolyData = edges.GetOutput()
    return surface


def _placed(surface: vtkPolyData, volume: Volume) -> vtkPolyData:
    """A surface in the index of ``volume``, moved to LPS."""
    transform = vtkTransform()
    transform.SetMatrix(volume.affine[:, [2, 1, 0, 3]].ravel().tolist())
    placed = vtkTransformPolyDataFilter()
    placed.SetInputData(surface)
    placed.SetTransform(transform)
    placed.Update()
    result: vtkPolyData = placed.GetOutput()
    return result


def _occupancy(mask: Volume, grid_mm: float | None) -> Volume:
    """The filled share (float32) of each voxel of a grid of about ``grid_mm``, with a rim of empty voxels; blocks of whole voxels."""
    block = [1 if grid_mm is None else max(1, int(grid_mm / spacing + 0.25)) for spacing in mask.spacing]
    padding = [(b, b + -n % b) for n, b in zip(mask.shape, block, strict=True)]
    padded = np.pad(mask.array, padding)
    (a, b, c), (i, j, k) = padded.shape, block
    share = padded.reshape(a // i, i, b // j, j, c // k, k).mean(axis=(1, 3, 5), dtype=np.float32)
    affine = mask.affine.copy()
    affine[:3, 3] = mask.index_to_lps([-(n + 1) / 2 for n in block])
    affine[:3, :3] = affine[:3, :3] * block
    return Volume(share, affine)


def _image(volume: Volume) -> vtkImageData:
    image = vtkImageData()
    slices, rows, columns = volume.shape
    image.SetDimensions(columns, rows, slices)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(volume.array).ravel(), deep=True))
    return image


def _with_volume(surface: vtkPolyData, volume_ml: float) -> vtkPolyData:
    """The surface moved along its normals until it encloses ``volume_ml``: smoothing shrinks small ones, a nodule of 3 mm by 8 %."""
    normals = vtkPolyDataNormals()
    normals.SetInputData(surface)
    normals.SplittingOff()
    normals.ConsistencyOff()
    mass = vtkMassProperties()
    for _ in range(MOST_VOLUME_STEPS):
        normals.Update()
        mass.SetInputData(normals.GetOutput())
        mass.Update()
        missing = volume_ml * 1000.0 - mass.GetVolume()
        if abs(missing) < VOLUME_TOLERANCE * volume_ml * 1000.0:
            break
        outward = vtk_to_numpy(normals.GetOutput().GetPointData().GetNormals())
        points = vtk_to_numpy(surface.GetPoints().GetData())
        points += outward * (missing / mass.GetSurfaceArea())
        surface.GetPoints().Modified()
        surface.Modified()
    normals.Update()
    result: vtkPolyData = normals.GetOutput()
    return result
