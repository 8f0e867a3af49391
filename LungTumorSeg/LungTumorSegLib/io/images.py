"""Read and write image files.

This is the only module that converts between SimpleITK's (x, y, z) and this package's (slice, row, column).
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..core.argument_types import expect_ct_source
from ..core.complete_files import complete_file
from ..core.errors import MachineLimit, UnusableInput
from ..core.messages import not_finite, out_of_memory_reading, unreadable, unwritable
from ..core.volume import AIR_HU, Array, CTVolume, Grid, Volume
from .dicom_folder import check_holds_dicom
from .dicom_start import is_dicom_file
from .headers import check_image_file, parse_header, read_header
from .image_header import ImageHeader
from .nrrd import COMPRESSION_LEVEL, compressed_nrrd
from .plausibility import MAX_HU, check_grid, check_intensities
from .regular_files import check_encodable, existing_mode
from .slice_doubts import slice_doubts
from .voxels import read_values

if TYPE_CHECKING:
    import SimpleITK as sitk

WRITABLE_SUFFIXES = (".nrrd", ".nii.gz", ".nii", ".mha")


def read_ct(path: str | os.PathLike[str], *, series: str | None = None, phase: int | None = None) -> CTVolume:
    """Read a chest CT in HU on the file's own grid.

    Integer HU stay int16. DICOM slices that are tilted, unevenly spaced or missing (at most 3 in a row) are resampled
    to a regular orthogonal grid; ``resampled`` and ``warnings`` of the result report it. Multi-frame DICOM is refused.

    Args:
        path: A DICOM folder (searched with its subfolders) or DICOM file, or a NIfTI, NRRD or MetaImage file.
        series: The SeriesInstanceUID to read if a folder holds several series.
        phase: The phase of a 4D CT to read, counted from 0; None for a 3D CT.

    Raises:
        SeveralPhases: If the CT is 4D, and no phase is given; an UnusableInput.
        UnusableInput: If an argument has another type, or the input is not a plausible chest CT; the message is one
            sentence for the user.
        MachineLimit: If the memory does not suffice, or a decoder for a compressed DICOM file is not installed.
    """
    expect_ct_source(path, series, phase)
    path = Path(path)
    try:
        if not _leads_to_dicom(path):
            return _read_ct_image(path, series, phase)
        from .dicom_series import read_dicom  # imports pydicom, so only if needed

        ct = read_dicom(path, series=series, phase=phase)
    except OSError as error:
        raise UnusableInput(unreadable(path, error)) from error
    except MemoryError as error:
        raise MachineLimit(out_of_memory_reading(path)) from error
    check_grid(ct.grid, path)
    return ct


def check_ct(path: Path, *, phase: int | None = None) -> None:
    """Check that ``path`` may be a CT, by the first bytes of its files and without slow packages.

    Args:
        path: See ``read_ct``.
        phase: See ``read_ct``.

    Raises:
        UnusableInput: If there is nothing at the path, or neither DICOM nor the header of an image.
    """
    if not _leads_to_dicom(path):
        read_header(path, phase=phase)


def _leads_to_dicom(path: Path) -> bool:
    """Return whether ``path`` is a folder with DICOM files, or a DICOM file.

    Raises:
        UnusableInput: If there is nothing at the path, or it is a folder without DICOM files.
    """
    mode = existing_mode(path)
    if stat.S_ISDIR(mode):
        check_holds_dicom(path)
        return True
    try:
        return stat.S_ISREG(mode) and is_dicom_file(path)
    except OSError as error:
        raise UnusableInput(unreadable(path, error)) from error


def _read_ct_image(path: Path, series: str | None, phase: int | None) -> CTVolume:
    if series is not None:
        raise UnusableInput(f"--series selects a series in a DICOM folder, but {path} is an image file; omit --series.")
    header = read_header(path, phase=phase)
    _check_single_values(header, path)
    grid = Grid(header.shape, header.affine)
    check_grid(grid, path)
    values = read_values(header, path)
    check_intensities(values, path)
    doubts = (*header.geometry_doubts, *header.warnings)
    axis = grid.canonical_axes().permutation[0]
    of_slices = slice_doubts(np.moveaxis(values, axis, 0), grid.spacing[axis])
    return CTVolume(_as_hu(values), header.affine, warnings=(*doubts, *of_slices))


def read_volume(path: str | os.PathLike[str]) -> Volume:
    """Read a mask or map from a NIfTI, NRRD or MetaImage file.

    Raises:
        UnusableInput: If the file cannot be read, is not 3D, or contains values that are not finite.
    """
    stored = read_stored_image(Path(path))
    if stored.array.dtype.kind == "f" and not all(np.isfinite(plane).all() for plane in stored.array):
        raise UnusableInput(not_finite(path))
    return Volume(stored.array, stored.affine)


def write_volume(volume: Volume, path: str | os.PathLike[str], *, compress: bool = True) -> None:
    """Write a volume to an image file, which appears under its name only when complete.

    Args:
        volume: The volume; Boolean voxels are written as 0 and 1 (uint8).
        path: A path that ends in .nrrd, .nii.gz, .nii or .mha.
        compress: Whether to compress the voxels.

    Raises:
        ValueError: If the path has another suffix.
        MachineLimit: If the file cannot be written (disk full, no permission).
    """
    path = Path(path)
    if compress and path.name.endswith(".nrrd"):
        check_encodable(path)
        with complete_file(path) as unfinished, unfinished.open("wb") as file:
            file.writelines(compressed_nrrd(volume))
    else:
        write_image(to_simpleitk(volume), path, compress=compress)


def write_image(image: sitk.Image, path: str | os.PathLike[str], *, compress: bool = True) -> None:
    """Write a SimpleITK image with its metadata.

    Args:
        image: The image.
        path: The file; its suffix chooses the format.
        compress: Whether to compress the voxels.

    Raises:
        MachineLimit: The file cannot be written.
        ValueError: The suffix is that of no format.
    """
    path = Path(path)
    check_encodable(path)
    if not path.name.endswith(WRITABLE_SUFFIXES):
        raise ValueError(f"{path.name} must end in one of {', '.join(WRITABLE_SUFFIXES)}.")
    import SimpleITK as sitk  # takes a quarter of a second, so only if needed

    with complete_file(path) as unfinished:
        try:
            sitk.WriteImage(image, str(unfinished), compress, compressionLevel=COMPRESSION_LEVEL)
            if not path.name.endswith((".nrrd", ".mha")):
                check_image_file(unfinished)  # SimpleITK does not report a full disk for NIfTI
        except (RuntimeError, UnusableInput) as error:
            raise MachineLimit(unwritable(path)) from error


def to_simpleitk(volume: Volume) -> sitk.Image:
    """Return a volume as a SimpleITK image, whose index order is (column, row, slice).

    Voxels keep their LPS positions.
    """
    array = volume.array.view(np.uint8) if volume.array.dtype == np.bool_ else volume.array
    import SimpleITK as sitk  # takes a quarter of a second, so only if needed

    image = sitk.GetImageFromArray(array)
    set_simpleitk_geometry(image, volume.grid)
    return image


def set_simpleitk_geometry(image: sitk.Image, grid: Grid) -> None:
    """Set the geometry of a SimpleITK image to that of ``grid``."""
    image.SetSpacing(grid.spacing[::-1])
    image.SetDirection(grid.direction[:, ::-1].ravel().tolist())
    image.SetOrigin(grid.origin.tolist())


@dataclass(frozen=True, eq=False)
class StoredImage:
    """The content of an image file.

    Attributes:
        array: Real values (slice, row, column), with components on the last axis if there are several.
        affine: 4 x 4 matrix from (slice, row, column) to LPS mm.
        metadata: Free key/value pairs of the file.
        warnings: Sentences about what had to be substituted in the geometry.
    """

    array: Array
    affine: Array
    metadata: dict[str, str]
    warnings: tuple[str, ...] = ()


def read_stored_image(path: Path, *, allow_layers: bool = False) -> StoredImage:
    """Read a 3D image; double precision is converted to single precision.

    Args:
        path: A NIfTI, NRRD or MetaImage file, whatever its name.
        allow_layers: Whether to accept several values per voxel.

    Raises:
        UnusableInput: If the file cannot be read, does not state its geometry, or is not 3D.
        MachineLimit: If the memory does not suffice.
    """
    header = parse_header(path)
    if not allow_layers:
        _check_single_values(header, path)
    return StoredImage(read_values(header, path), header.affine, header.metadata, header.geometry_doubts)


def _check_single_values(header: ImageHeader, path: Path) -> None:
    if header.is_series:
        raise UnusableInput(f"{path} is a 4D image of {header.phases} phases; choose a single 3D volume.")
    if header.components > 1 and header.component is None:
        raise UnusableInput(
            f"{path} contains {header.components} values per voxel (color or time); choose a single 3D volume."
        )


def _as_hu(array: Array) -> npt.NDArray[np.int16] | npt.NDArray[np.float32]:
    """Return integers, and floats that are all integers, as int16; other floats as float32."""
    if array.dtype == np.int16:
        return array
    is_integer = array.dtype.kind in "iu" or all(np.array_equal(plane, np.rint(plane)) for plane in array)
    return np.clip(array, AIR_HU, MAX_HU).astype(np.int16) if is_integer else array.astype(np.float32, copy=False)
