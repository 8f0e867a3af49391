"""Files in, volumes out, and back: the one place that turns SimpleITK's (x, y, z) into this package's (slice, row, column)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from ..core.errors import MachineLimit, UnusableInput
from ..core.volume import AIR_HU, Array, CTVolume, Grid, Volume
from .dicom_series import is_dicom_file, read_dicom
from .headers import check_image_file
from .plausibility import MAX_HU, check_grid, check_intensities

COMPRESSION_LEVEL = 1
"""zlib's fastest: label maps shrink nearly as well as at the default and are written several times faster."""

WRITABLE_SUFFIXES = (".nrrd", ".nii.gz", ".nii", ".mha")


def read_ct(path: str | os.PathLike[str], *, series: str | None = None) -> CTVolume:
    """The CT in a DICOM folder (searched with its subfolders), a NIfTI, NRRD or MetaImage file, in HU on the file's own grid.

    ``series`` is the SeriesInstanceUID to take where a folder holds several. Multi-frame DICOM is refused. DICOM slices that are
    tilted, unevenly spaced or missing (3 at most in a row) are resampled to a regular orthogonal grid; ``resampled`` and
    ``warnings`` of the result say so. Integer HU stay int16.

    Raises UnusableInput, with one sentence for the user, for anything that is not a plausible chest CT; MachineLimit if a decoder
    for a compressed DICOM file is not installed.
    """
    path = _existing(path)
    try:
        ct = read_dicom(path, series=series) if path.is_dir() or is_dicom_file(path) else _read_ct_image(path, series)
    except OSError as error:
        raise UnusableInput(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    check_grid(ct.grid, path)
    return ct


def _read_ct_image(path: Path, series: str | None) -> CTVolume:
    if series is not None:
        raise UnusableInput(
            f"A series can be chosen in a DICOM folder only, and {path} is an image file; leave --series out."
        )
    array, affine = from_simpleitk(read_image_file(path))
    check_intensities(array, path)
    return CTVolume(_as_hu(array), affine)


def read_volume(path: str | os.PathLike[str]) -> Volume:
    """A mask or map in NIfTI, NRRD or MetaImage, voxels as stored. Raises UnusableInput if it cannot be read or is not 3D."""
    return Volume(*from_simpleitk(read_image_file(_existing(path))))


def write_volume(volume: Volume, path: str | os.PathLike[str], *, compress: bool = True) -> None:
    """Write ``volume`` (bool as 0 and 1 of uint8) to ``path``: .nrrd, .nii.gz, .nii or .mha; it appears there only when complete.

    Raises ValueError for another suffix, MachineLimit if the file cannot be written (disk full, no permission).
    """
    write_image(to_simpleitk(volume), path, compress=compress)


def write_image(image: sitk.Image, path: str | os.PathLike[str], *, compress: bool = True) -> None:
    """``write_volume`` for a SimpleITK image, its metadata included."""
    path = Path(path)
    if not path.name.endswith(WRITABLE_SUFFIXES):
        raise ValueError(f"{path.name} must end in one of {', '.join(WRITABLE_SUFFIXES)}.")
    with complete_file(path) as unfinished:
        try:
            sitk.WriteImage(image, str(unfinished), compress, compressionLevel=COMPRESSION_LEVEL)
            if not path.name.endswith((".nrrd", ".mha")):
                check_image_file(unfinished)  # SimpleITK does not notice a full disk when it writes NIfTI
        except (RuntimeError, UnusableInput) as error:
            raise MachineLimit(
                f"{path} could not be written; free some disk space or choose another folder."
            ) from error


@contextmanager
def complete_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to; it becomes ``path`` when the block ends, and vanishes when the block fails.

    The suffix is kept, since libraries choose the format by it. Raises MachineLimit if the disk refuses.
    """
    path = Path(path)
    unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    except OSError as error:
        raise MachineLimit(
            f"{path} could not be written ({error.strerror}); free some disk space or choose another folder."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def check_output_folder(path: str | os.PathLike[str]) -> None:
    """Raise UnusableInput if ``path`` cannot become a folder that files can be written to; nothing is created."""
    folder = Path(path).absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UnusableInput(
            f"The output folder {path} cannot be written ({error.strerror}); choose another one."
        ) from error


def to_simpleitk(volume: Volume) -> sitk.Image:
    """The same voxels at the same LPS places as a SimpleITK image, whose index runs (column, row, slice)."""
    array = volume.array.view(np.uint8) if volume.array.dtype == np.bool_ else volume.array
    image = sitk.GetImageFromArray(array)
    set_simpleitk_geometry(image, volume.grid)
    return image


def set_simpleitk_geometry(image: sitk.Image, grid: Grid) -> None:
    """Give a SimpleITK image the geometry of ``grid``."""
    image.SetSpacing(grid.spacing[::-1])
    image.SetDirection(grid.direction[:, ::-1].ravel().tolist())
    image.SetOrigin(grid.origin.tolist())


def from_simpleitk(image: sitk.Image) -> tuple[Array, Array]:
    """Array (slice, row, column), components last where there are several, and 4 x 4 affine to LPS mm of a 3D SimpleITK image."""
    return sitk.GetArrayFromImage(image), _affine(image)


def _affine(image: Any) -> Array:
    affine = np.eye(4)
    direction = np.reshape(image.GetDirection(), (3, 3))
    affine[:3, :3] = (direction * image.GetSpacing())[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return affine


def read_image_file(path: Path, *, allow_layers: bool = False) -> sitk.Image:
    """The 3D image in a file; double precision becomes single. ``allow_layers`` admits several components a voxel.

    Raises UnusableInput if it cannot be read, states no spacing, or is not 3D.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        check_image_file(path)  # knows better what is wrong
        raise UnusableInput(f"{path} is damaged or its axes are not orthogonal; export it again.") from error
    if reader.GetDimension() != 3:
        size = " x ".join(map(str, reader.GetSize()))
        raise UnusableInput(f"{path} is not a 3D image (its size is {size}); give a single 3D volume.")
    if reader.GetNumberOfComponents() > 1 and not allow_layers:
        raise UnusableInput(
            f"{path} holds {reader.GetNumberOfComponents()} values a voxel (color or time); give a single 3D volume."
        )
    check_image_file(path)
    try:
        Grid(reader.GetSize()[::-1], _affine(reader))
    except ValueError as error:
        raise UnusableInput(f"{path} states an impossible geometry; export it again. {error}") from error
    if reader.GetPixelID() == sitk.sitkFloat64:
        reader.SetOutputPixelType(sitk.sitkFloat32)
    try:
        image: sitk.Image = reader.Execute()
    except RuntimeError as error:
        raise UnusableInput(f"{path} is damaged or truncated; copy or export it again.") from error
    return image


def _existing(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if not path.exists():
        raise UnusableInput(f"{path} does not exist; check the path.")
    return path


def _as_hu(array: Array) -> npt.NDArray[np.int16] | npt.NDArray[np.float32]:
    """Integers, and floats that all are integers, as int16; other floats as float32."""
    if array.dtype == np.int16:
        return array
    is_integer = array.dtype.kind in "iu" or all(np.array_equal(plane, np.rint(plane)) for plane in array)
    return np.clip(array, AIR_HU, MAX_HU).astype(np.int16) if is_integer else array.astype(np.float32, copy=False)
