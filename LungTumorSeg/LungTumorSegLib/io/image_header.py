"""What the header of an image file states, whatever its format, and the checks that all formats share.

Each format has a parser of its own (``nifti_header``, ``nrrd_header``, ``metaimage_header``) that uses or refuses every field on the
way from stored values and indices to HU and millimeters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
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
"""More than 1000 x 1000 x 1000, which no CT reaches; a header that states more is damaged or a trap."""

MAX_COMPONENTS = 1 << 12
"""More layers than any segmentation needs."""

MAX_MM = 1e6
"""Largest origin and spacing, mm; far beyond any scanner, and small enough that no computation overflows."""

MIN_MM = 1e-6
"""Smallest spacing, mm."""

SHOWN_CHARACTERS = 60
"""Of a value of a header, in a message."""

SAME_PLACE = 0.1
"""Two statements of one geometry agree where no corner voxel differs by more than this share of the smallest spacing."""

SAME_SPACING = 1e-3
"""Two statements of one spacing agree within this share."""

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
    """Where voxels lie in a file.

    Attributes:
        path: The file; not the header's own where the voxels are detached.
        offset: Bytes in the file before them, or before the packed stream that holds them; counted from the end where negative.
        packing: How the bytes are packed.
        skip: Bytes before the voxels in the unpacked stream.
    """

    path: Path
    offset: int
    packing: Packing
    skip: int = 0


@dataclass(frozen=True, eq=False)
class ImageHeader:
    """A checked header.

    Attributes:
        shape: Voxels along (slice, row, column).
        affine: 4 x 4, from that index to LPS mm.
        dtype: Type of the stored values, byte order included.
        place: Where the voxels lie.
        components: Values per voxel.
        component_axis: Axis of the components in the stored array, whose fastest axis is the last.
        rescaling: From stored to real values.
        metadata: Free key/value pairs of the file.
        warnings: What had to be substituted, in sentences.
    """

    shape: tuple[int, int, int]
    affine: Array
    dtype: np.dtype
    place: VoxelPlace
    components: int = 1
    component_axis: int = 3
    rescaling: Rescaling = field(default_factory=Rescaling)
    metadata: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def voxel_bytes(self) -> int:
        """Bytes that the voxels take when unpacked."""
        return math.prod(self.shape) * self.components * self.dtype.itemsize


def no_geometry(path: Path) -> NoReturn:
    """Refuse a file whose header lacks spacing or axes."""
    raise UnusableInput(
        f"{path} does not state its voxel spacing and axes; export it again from its source with its geometry."
    )


def wrong_header(path: Path, what: str) -> NoReturn:
    """Refuse a file for one field of its header; ``what`` continues "The header of <path> ..."."""
    raise UnusableInput(f"The header of {path} {what}; export it again from its source.")


def shortened(text: str) -> str:
    """Return ``text`` of a header as a message quotes it: printable and short, since a header is of any length."""
    return bounded(printable(bounded(text, SHOWN_CHARACTERS)), SHOWN_CHARACTERS)


def numbers(text: str, count: int | None = None) -> list[float] | None:
    """Return the finite numbers in ``text``, or None where it holds anything else or not ``count`` of them."""
    words = text.split()
    if not words or (count is not None and len(words) != count):
        return None
    try:
        values = [float(word) for word in words]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None


def whole_numbers(text: str, count: int | None = None) -> list[int] | None:
    """Return the whole numbers in ``text``, or None where it holds anything else or not ``count`` of them."""
    values = numbers(text, count)
    if values is None or not all(value.is_integer() and abs(value) < 2**53 for value in values):
        return None
    return [int(value) for value in values]


def checked_shape(sizes_xyz: Sequence[int], path: Path, components: int = 1) -> tuple[int, int, int]:
    """Return (slice, row, column) counts of a 3D image of ``sizes_xyz`` voxels.

    Raises:
        UnusableInput: if there are not three, one is below 1, or there are more voxels than any CT has.
    """
    shown = " x ".join(str(size) for size in sizes_xyz)
    if any(size < 1 for size in sizes_xyz) or not sizes_xyz:
        wrong_header(path, f"states a size of {shortened(shown)} voxels")
    if len(sizes_xyz) != 3:
        raise UnusableInput(f"{path} is not a 3D image (its size is {shortened(shown)}); give a single 3D volume.")
    if math.prod(sizes_xyz) * components > MAX_VOXELS or components > MAX_COMPONENTS:
        values = f" of {components} values" if components > 1 else ""
        wrong_header(path, f"states {shortened(shown)} voxels{values}, more than any CT has")
    columns, rows, slices = sizes_xyz
    return slices, rows, columns


def checked_affine(shape: tuple[int, int, int], columns_xyz: npt.ArrayLike, origin: npt.ArrayLike, path: Path) -> Array:
    """Return the affine from (slice, row, column) to LPS mm.

    Args:
        shape: Voxels along (slice, row, column).
        columns_xyz: 3 x 3; its columns are the steps in LPS mm along the file's first (fastest), second and third axis.
        origin: LPS position of the first voxel, mm.
        path: The file, for messages.

    Raises:
        UnusableInput: if the numbers are not finite, a step is zero or beyond reason, or the axes are not orthogonal.
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
    """Raise UnusableInput if two affines of one file, which ``names`` names, place a corner voxel differently."""
    last = np.array(shape) - 1
    corners = np.array([[a, b, c, 1] for a in (0, last[0]) for b in (0, last[1]) for c in (0, last[2])], dtype=float)
    apart = float(np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max())
    if apart > SAME_PLACE * np.linalg.norm(one[:3, :3], axis=0).min():
        wrong_header(path, f"states its geometry twice and differently ({names} disagree by up to {apart:.4g} mm)")


def check_same_spacing(one: Sequence[float], other: Sequence[float], names: tuple[str, str], path: Path) -> None:
    """Raise UnusableInput if two statements of the spacing, mm, differ; ``names`` are those of the two fields."""
    if not np.allclose(one, other, rtol=SAME_SPACING, atol=0):
        first, second = (" x ".join(f"{mm:.5g}" for mm in spacing) for spacing in (one, other))
        wrong_header(
            path, f"states its spacing twice and differently ({names[0]}: {first} mm, {names[1]}: {second} mm)"
        )


def mm_per_unit(unit: str, path: Path) -> float:
    """Return the millimeters of a unit of length; raises UnusableInput for an unknown one."""
    mm = MM_PER_UNIT.get(unit.strip().lower())
    if mm is None:
        wrong_header(path, f'states its lengths in "{shortened(unit)}", which is no unit of length that is known here')
    return mm


def detached_path(header: Path, name: str) -> Path:
    """Return the file of detached voxels that ``header`` names; raises UnusableInput for lists and patterns of files."""
    first = name.split()[0] if name.split() else ""
    if first.upper() == "LIST" or "%" in name:
        raise UnusableInput(
            f"The voxels of {header} lie in several files ({shortened(name)}), which is not read; "
            "save the image as a single file."
        )
    if not first or "\0" in name:
        wrong_header(header, "names no file of voxels")
    path = header.parent / name
    try:
        check_regular(path)
    except UnusableInput as error:
        raise UnusableInput(
            f"The voxels of {header} lie in another file, and {shortened(path.name)} is not there; copy both into one folder."
        ) from error
    return path
