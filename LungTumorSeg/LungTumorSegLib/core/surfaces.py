"""Surfaces of masks in LPS mm: unsmoothed for measurement, smoothed for display."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
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
from vtkmodules.vtkIOGeometry import vtkOBJWriter, vtkSTLWriter
from vtkmodules.vtkIOPLY import vtkPLYWriter
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from .components import CONNECTIVITY
from .crops import crop_of
from .errors import MachineLimit
from .messages import unwritable
from .volume import Array, Volume

SMOOTHING_ITERATIONS, SMOOTHING_PASS_BAND = 20, 0.05
"""Parameters of the windowed sinc filter (Taubin 1996, doi:10.1145/237170.237192).

It removes the steps between voxels and preserves larger shapes.
"""

WRITERS: dict[str, Any] = {
    ".vtp": vtkXMLPolyDataWriter,
    ".stl": vtkSTLWriter,
    ".obj": vtkOBJWriter,
    ".ply": vtkPLYWriter,
}
IN_LPS = "SPACE=LPS"

BLUR_VOXELS = 0.7
"""Standard deviation of the Gaussian that blurs a coarser grid, voxels.

Where the lung is thinner than a voxel, as at its lower edge, the surface would otherwise end in teeth.
"""

SPECK_ML = 0.5
"""Volume below which a connected component of a coarser grid is not drawn, mL: air beside the lungs, for example."""

VOLUME_TOLERANCE = 0.001
MOST_VOLUME_STEPS = 20
"""Largest number of Newton steps that restore the mask's volume after smoothing.

Three steps suffice unless the mask has only a handful of voxels.
"""


def surface_of(mask: Volume, *, grid_mm: float | None = None) -> vtkPolyData:
    """Return the smoothed closed surface of a mask in LPS mm, with outward normals.

    The surface encloses the volume of the mask's voxels within 2 %.

    Args:
        mask: Boolean mask in any axis order.
        grid_mm: If given, the mask is first reduced to a coarser grid of about this spacing in mm, blurred slightly,
            and loses small components beside larger ones.

    Returns:
        The surface; empty if no voxel is true.
    """
    part = crop_of(mask)
    if part is None:
        return vtkPolyData()
    crop = mask.canonical_axes().apply(part.mask)
    volume_ml = np.count_nonzero(crop.array) * crop.voxel_volume_ml
    occupied = _occupancy(crop, grid_mm)
    if grid_mm is not None:
        occupied = _without_specks(_blurred(occupied))
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
    """Return the unsmoothed surface of a Boolean mask.

    The surface is the result of marching cubes at half occupancy, over the mask with a rim of empty voxels, as the
    Image Biomarker Standardisation Initiative specifies (doi:10.1148/radiol.2020191145).

    Returns:
        Vertices (n, 3) in LPS mm, and triangles (m, 3) of vertex indices, counterclockwise when seen from outside.
    """
    occupied = _occupancy(mask.canonical_axes().apply(mask), None)
    # vtk's single precision is exact here, because all coordinates are multiples of one half.
    xyz_index, triangles = triangles_of(_half_surface(occupied))
    return occupied.index_to_lps(xyz_index[:, ::-1]), triangles


def write_surface(surface: vtkPolyData, path: Path) -> None:
    """Write a surface with points in LPS mm: VTK XML (.vtp), or .stl, .obj or .ply, by the suffix of the path.

    Where the format has comments, one states the coordinate system in the way that Slicer reads it.

    Raises:
        MachineLimit: If the file cannot be written.
    """
    writer = WRITERS[path.suffix]()
    if path.suffix == ".stl":
        writer.SetFileTypeToBinary()
        writer.SetHeader(IN_LPS)
    if path.suffix == ".ply":
        writer.AddComment(IN_LPS)
    writer.SetInputData(surface)
    writer.SetFileName(str(path))
    if not writer.Write() or writer.GetErrorCode():  # Write alone reports success for a truncated file
        raise MachineLimit(unwritable(path))


def triangles_of(surface: vtkPolyData) -> tuple[Array, Array]:
    """Return the vertices (n, 3), in the coordinates of the surface, and the triangles (m, 3) of vertex indices."""
    triangles = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).astype(int).reshape(-1, 3)
    return vtk_to_numpy(surface.GetPoints().GetData()).astype(float), triangles


def _half_surface(volume: Volume) -> vtkPolyData:
    """Return the surface on which ``volume`` has the value one half, in vtk's index order (column, row, slice)."""
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
    """Return a surface in index coordinates of ``volume``, transformed to LPS mm."""
    transform = vtkTransform()
    transform.SetMatrix(volume.affine[:, [2, 1, 0, 3]].ravel().tolist())
    placed = vtkTransformPolyDataFilter()
    placed.SetInputData(surface)
    placed.SetTransform(transform)
    placed.Update()
    result: vtkPolyData = placed.GetOutput()
    return result


def _occupancy(mask: Volume, grid_mm: float | None) -> Volume:
    """Return the filled share (float32) of each voxel of a grid of about ``grid_mm``, with a rim of empty voxels.

    Each voxel of the grid is a block of whole voxels of the mask.
    """
    block = [1 if grid_mm is None else max(1, int(grid_mm / spacing + 0.25)) for spacing in mask.spacing]
    padding = [(b, b + -n % b) for n, b in zip(mask.shape, block, strict=True)]
    padded = np.pad(mask.array, padding)
    (a, b, c), (i, j, k) = padded.shape, block
    share = padded.reshape(a // i, i, b // j, j, c // k, k).mean(axis=(1, 3, 5), dtype=np.float32)
    return Volume(share, mask.affine_from([-(n + 1) / 2 for n in block], block))


def _blurred(volume: Volume) -> Volume:
    """Return shares of voxels (0 to 1) blurred slightly; unchanged if nothing would be left of them."""
    blurred = ndimage.gaussian_filter(volume.array, BLUR_VOXELS, mode="constant")
    return volume.with_array(blurred) if (blurred > 0.5).any() else volume


def _without_specks(volume: Volume) -> Volume:
    """Return shares of voxels (0 to 1) without components below ``SPECK_ML``; the largest one stays."""
    labels, count = ndimage.label(volume.array > 0.5, structure=CONNECTIVITY)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    specks = sizes * volume.voxel_volume_ml < SPECK_ML
    specks[0] = specks[sizes.argmax()] = False
    return volume.with_array(np.where(specks[labels], np.float32(0), volume.array))


def _image(volume: Volume) -> vtkImageData:
    image = vtkImageData()
    slices, rows, columns = volume.shape
    image.SetDimensions(columns, rows, slices)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(volume.array).ravel(), deep=False))
    return image


def _with_volume(surface: vtkPolyData, volume_ml: float) -> vtkPolyData:
    """Return the surface moved along its normals until it encloses ``volume_ml``.

    Smoothing shrinks small surfaces: a nodule of 3 mm loses 8 % of its volume.
    """
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
