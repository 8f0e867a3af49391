"""The content of an image file's header, independent of its format, and checks that all formats share.

Each format has its own parser (``nifti_header``, ``nrrd_header``, ``metaimage_header``). The parser uses or refuses
every field that affects the conversion from stored values and indices to HU and millimeters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
import numpy.typing as npt

from ..core.errors import UnusableInput
from ..core.texts import bounded, printable
from ..core.volume import Array, Grid
from .regular_files import check_regular
from .stored_values import Rescaling

MAX_VOXELS = 1 << 30
"""Largest number of values, more than 1000 x 1000 x 1000, which no CT reaches.

A header that states more is damaged or malicious.
"""

MAX_COMPONENTS = 1 << 12
"""Largest number of values per voxel, more layers than any segmentation needs."""

MAX_PHASES = 100
"""Largest number of phases of a 4D CT; scanners reconstruct 10 to 20."""

MAX_MM = 1e6
"""Largest coordinate of the origin and largest spacing, in mm.

The value is far beyond any scanner, and small enough that no computation overflows.
"""

MIN_MM = 1e-6
"""Smallest spacing in mm."""

SHOWN_CHARACTERS = 60
"""Largest number of characters of a header value in a message."""

SAME_PLACE = 0.1
"""Largest difference of corner voxels between two statements of one geometry, as a share of the smallest spacing."""

SAME_SPACING = 1e-3
"""Largest relative difference between two statements of one spacing."""

MM_PER_UNIT = {
    "mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "millimetre": 1.0, "millimetres": 1.0,
    "cm": 10.0, "centimeter": 10.0, "centimeters": 10.0,
    "m": 1000.0, "meter": 1000.0, "meters": 1000.0,
    "um": 0.001, "\N{MICRO SIGN}m": 0.001, "\N{GREEK SMALL LETTER MU}m": 0.001,
    "micron": 0.001, "microns": 0.001, "micrometer": 0.001, "micrometers": 0.001,
}  # fmt: skip

Packing = Literal["raw", "gzip", "zlib"]


@dataclass(frozen=True)
class VoxelPlace:
    """Where the voxels of an image are stored.

    Attributes:
        path: The file; it differs from that of the header if the voxels are detached.
        offset: Bytes in the file before the voxels, or before the compressed stream that holds them; counted from the
            end of the file if negative.
        packing: How the bytes are compressed.
        skip: Bytes before the voxels in the uncompressed stream.
        behind: Bytes after the voxels in the uncompressed stream that hold other phases.
    """

    path: Path
    offset: int
    packing: Packing
    skip: int = 0
    behind: int = 0


@dataclass(frozen=True, eq=False)
class ImageHeader:
    """A checked header.

    Attributes:
        shape: Number of (slices, rows, columns).
        affine: 4 x 4 matrix from (slice, row, column) index to LPS mm.
        dtype: Type of the stored values, including byte order.
        place: Where the voxels are stored.
        components: Number of values per voxel: colors, or the 3D images of a series.
        component_axis: Axis of the components in the stored array, whose fastest axis is the last.
        is_series: Whether the components are 3D images: the phases of a 4D CT, or the layers of a segmentation.
        component: Number of the only component to read; None reads all.
        rescaling: From stored to real values.
        metadata: Free key/value pairs of the file.
        warnings: Sentences about everything that had to be substituted in the values.
        assumed: Sentences about everything that had to be substituted in the geometry, which matter for masks too.
    """

    shape: tuple[int, int, int]
    affine: Array
    dtype: np.dtype
    place: VoxelPlace
    components: int = 1
    component_axis: int = 3
    is_series: bool = False
    component: int | None = None
    rescaling: Rescaling = field(default_factory=Rescaling)
    metadata: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()

    @property
    def geometry_doubts(self) -> tuple[str, ...]:
        """Return ``assumed``, and a sentence if the geometry is the one that programs write if they know none."""
        plain = np.abs(self.affine[:3, :3])
        if self.affine[:3, 3].any() or not ((plain == 1).sum(axis=0) == 1).all() or plain.sum() != 3:
            return self.assumed
        return (
            *self.assumed,
            "The image states voxels of exactly 1 x 1 x 1 mm at the position 0, as programs do that do not know the "
            "geometry. Check the size of a known structure, and left and right.",
        )

    @property
    def phases(self) -> int:
        """Return the number of 3D images."""
        return self.components if self.is_series else 1

    def of_phase(self, number: int) -> ImageHeader:
        """Return the header of one phase, counted from 0."""
        if self.component_axis:  # its voxels lie between those of the others
            return replace(self, component=number, is_series=False)
        size = self.voxel_bytes // self.components
        place = replace(self.place, skip=self.place.skip + number * size, behind=(self.components - 1 - number) * size)
        return replace(self, place=place, components=1, component_axis=3, is_series=False)

    @property
    def voxel_bytes(self) -> int:
        """Return the number of bytes of the uncompressed voxels, of all components."""
        return math.prod(self.shape) * self.components * self.dtype.itemsize


def no_geometry(path: Path) -> NoReturn:
    """Refuse a file whose header lacks spacing or axes.

    Raises:
        UnusableInput: Always.
    """
    raise UnusableInput(
        f"{path} does not state its voxel spacing and axes; export it again from its source with its geometry."
    )


def wrong_header(path: Path, what: str) -> NoReturn:
    """Refuse a file because of one field in its header.

    Args:
        path: The file.
        what: The continuation of "The header of <path> ...".

    Raises:
        UnusableInput: Always.
    """
    raise UnusableInput(f"The header of {path} {what}; export it again from its source.")


def shortened(text: str) -> str:
    """Return a header's text as a message quotes it: printable and short, because a header can have any length."""
    return bounded(printable(bounded(text, SHOWN_CHARACTERS)), SHOWN_CHARACTERS)


def numbers(text: str, count: int | None = None) -> list[float] | None:
    """Return the finite numbers in ``text``.

    Args:
        text: Numbers separated by spaces.
        count: The expected number of values, or None for any.

    Returns:
        The numbers, or None if the text holds anything else or another number of values.
    """
    words = text.split()
    if not words or (count is not None and len(words) != count):
        return None
    try:
        values = [float(word) for word in words]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None


def whole_numbers(text: str, count: int | None = None) -> list[int] | None:
    """Return the whole numbers in ``text``; None if it holds anything else or not ``count`` of them."""
    values = numbers(text, count)
    if values is None or not all(value.is_integer() and abs(value) < 2**53 for value in values):
        return None
    return [int(value) for value in values]


def checked_shape(sizes_xyz: Sequence[int], path: Path, components: int = 1) -> tuple[int, int, int]:
    """Return the number of (slices, rows, columns) of a 3D image.

    Args:
        sizes_xyz: Number of voxels along the file's axes, fastest first.
        path: The file, for error messages.
        components: Number of values per voxel.

    Raises:
        UnusableInput: If there are not three axes, a size is below 1, or there are more voxels than any CT has.
    """
    shown = " x ".join(str(size) for size in sizes_xyz)
    if any(size < 1 for size in sizes_xyz) or not sizes_xyz:
        wrong_header(path, f"states a size of {shortened(shown)} voxels")
    if len(sizes_xyz) != 3:
        raise UnusableInput(f"{path} is not a 3D image (its size is {shortened(shown)}); choose a single 3D volume.")
    if math.prod(sizes_xyz) * components > MAX_VOXELS or components > MAX_COMPONENTS:
        values = f" of {components} values" if components > 1 else ""
        wrong_header(path, f"states {shortened(shown)} voxels{values}, more than any CT has")
    columns, rows, slices = sizes_xyz
    return slices, rows, columns


def checked_affine(shape: tuple[int, int, int], columns_xyz: npt.ArrayLike, origin: npt.ArrayLike, path: Path) -> Array:
    """Return the affine from (slice, row, column) to LPS mm.

    Args:
        shape: Number of (slices, rows, columns).
        columns_xyz: 3 x 3 matrix whose columns are the steps, in LPS mm, along the file's first (fastest), second and
            third axis.
        origin: LPS position of the first voxel, in mm.
        path: The file, for error messages.

    Raises:
        UnusableInput: If the numbers are not finite, a step is zero or implausibly large, or the axes are not
            orthogonal.
    """
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(columns_xyz, dtype=float)[:, ::-1]
    affine[:3, 3] = np.asarray(origin, dtype=float)
    if not np.isfinite(affine).all() or np.abs(affine[:3]).max() > MAX_MM:
        wrong_header(path, "states an impossible geometry (numbers that are not finite, or beyond a kilometer)")
    if np.linalg.norm(affine[:3, :3], axis=0).min() < MIN_MM:
        wrong_header(path, "states an impossible geometry (a voxel spacing of zero)")
    try:
        return Grid(shape, affine).affine
    except ValueError as error:
        raise UnusableInput(
            f"{path} states an impossible geometry: its axes are not orthogonal (sheared, or a tilted gantry); "
            "resample it to orthogonal axes or export it again."
        ) from error


def check_same_geometry(shape: tuple[int, int, int], one: Array, other: Array, names: str, path: Path) -> None:
    """Check that two statements of a file's geometry agree at the corner voxels.

    Args:
        shape: Number of (slices, rows, columns).
        one: A 4 x 4 matrix from (slice, row, column) to LPS mm.
        other: Another such matrix.
        names: Names of both statements in the error message.
        path: The file, for error messages.

    Raises:
        UnusableInput: If they disagree.
    """
    last = np.array(shape) - 1
    corners = np.array([[a, b, c, 1] for a in (0, last[0]) for b in (0, last[1]) for c in (0, last[2])], dtype=float)
    apart = float(np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max())
    if apart > SAME_PLACE * np.linalg.norm(one[:3, :3], axis=0).min():
        wrong_header(path, f"states two different geometries ({names} disagree by up to {apart:.4g} mm)")


def check_same_spacing(one: Sequence[float], other: Sequence[float], names: tuple[str, str], path: Path) -> None:
    """Check that two statements of a file's spacing agree.

    Args:
        one: A spacing (slice, row, column), mm.
        other: Another one.
        names: Names of both fields in the error message.
        path: The file, for error messages.

    Raises:
        UnusableInput: If they disagree.
    """
    if not np.allclose(one, other, rtol=SAME_SPACING, atol=0):
        first, second = (" x ".join(f"{mm:.5g}" for mm in spacing) for spacing in (one, other))
        wrong_header(path, f"states two different spacings ({names[0]}: {first} mm, {names[1]}: {second} mm)")


def mm_per_unit(unit: str, path: Path) -> float:
    """Return the millimeters per unit of length.

    Raises:
        UnusableInput: If the unit is unknown.
    """
    mm = MM_PER_UNIT.get(unit.strip().lower())
    if mm is None:
        wrong_header(path, f'states its lengths in "{shortened(unit)}", which is not a known unit of length')
    return mm


def detached_path(header: Path, name: str) -> Path:
    """Return the file of detached voxels that a header names.

    Raises:
        UnusableInput: If the header names none, a list or a pattern, or if the file is missing.
    """
    first = name.split()[0] if name.split() else ""
    if first.upper() == "LIST" or "%" in name:
        raise UnusableInput(
            f"The voxels of {header} are in several files ({shortened(name)}), which is not supported; save the image "
            "as a single file."
        )
    if not first or "\0" in name:
        wrong_header(header, "does not name the file with the voxels")
    path = header.parent / name
    try:
        check_regular(path)
    except UnusableInput as error:
        raise UnusableInput(
            f"The voxels of {header} are in another file, {shortened(path.name)}, which is missing; copy both files "
            "into one folder."
        ) from error
    return path
