"""Parse the header of a single-file NIfTI-1 or NIfTI-2, plain or gzipped, whatever its name.

References:
    Cox et al., "A (sort of) new image data format standard: NIfTI-1", 2004; nifti.nimh.nih.gov/nifti-1 and nifti-2.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import UnusableInput
from ..core.messages import truncated_header
from ..core.volume import Array
from .image_header import (
    MAX_PHASES,
    ImageHeader,
    VoxelPlace,
    check_same_geometry,
    check_same_spacing,
    checked_affine,
    checked_shape,
    no_geometry,
    wrong_header,
)
from .stored_values import Rescaling

HEADER_BYTES = 544
"""Size in bytes of a NIfTI-2 header with its extension flag; a NIfTI-1 header is shorter."""

MAX_OFFSET = 1 << 26
"""Largest byte offset of the voxels; header extensions end far before it."""

DATATYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
"""NIfTI datatype codes of real numbers that numpy supports."""

SEVERAL_VALUES = {32: "complex", 128: "color", 1792: "complex", 2048: "complex", 2304: "color"}

MM_PER_UNIT_CODE = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
"""Millimeters per unit of xyzt_units; readers take an unknown unit (0) as millimeters."""

RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class _Layout:
    """Struct formats and offsets of the fields in one version of the format, in the header's byte order."""

    size: int
    voxels_at_least: int
    dim: tuple[str, int]
    datatype: tuple[str, int]
    pixdim: tuple[str, int]
    offset: tuple[str, int]
    scaling: tuple[str, int]
    codes: tuple[str, int]
    quaternion: tuple[str, int]
    rows: tuple[str, int]
    units: tuple[str, int]


LAYOUTS = {
    348: _Layout(
        348, 352, ("8h", 40), ("2h", 70), ("8f", 76), ("f", 108), ("2f", 112), ("2h", 252), ("6f", 256), ("12f", 280),
        ("B", 123),
    ),
    540: _Layout(
        540, 544, ("8q", 16), ("2h", 12), ("8d", 104), ("q", 168), ("2d", 176), ("2i", 344), ("6d", 352), ("12d", 400),
        ("i", 500),
    ),
}  # fmt: skip


def is_nifti(start: bytes) -> bool:
    """Return whether ``start``, the first ``HEADER_BYTES`` of a file, is the header of a NIfTI or Analyze file."""
    return _order(start) is not None


def parse_nifti(start: bytes, path: Path, *, gzipped: bool) -> ImageHeader:
    """Check the header of a NIfTI file and return what it states.

    Args:
        start: The first ``HEADER_BYTES`` bytes, unpacked.
        path: The file.
        gzipped: Whether the file is compressed with gzip.

    Raises:
        UnusableInput: If a field is missing, wrong, or states something that is not supported.
    """
    order, layout = _layout(start, path)

    def field(place: tuple[str, int]) -> tuple:
        return struct.unpack_from(order + place[0], start, place[1])

    dtype = _dtype(field(layout.datatype), order, path)
    shape, phases = _shape(field(layout.dim), path)
    (offset,) = field(layout.offset)
    if not math.isfinite(offset) or offset != int(offset) or not layout.voxels_at_least <= offset <= MAX_OFFSET:
        wrong_header(path, f"states that voxels begin at byte {offset:.6g}, which is impossible")
    place = VoxelPlace(path, 0, "gzip", int(offset)) if gzipped else VoxelPlace(path, int(offset), "raw")
    rescaling = _rescaling(field(layout.scaling), path)
    mm = MM_PER_UNIT_CODE.get(field(layout.units)[0] & 7)
    if mm is None:
        wrong_header(path, f"states an unknown unit of length (xyzt_units {field(layout.units)[0]})")
    codes, pixdim = field(layout.codes), field(layout.pixdim)
    affine = _affine(
        shape, codes, pixdim=pixdim, quaternion=field(layout.quaternion), rows=field(layout.rows), mm=mm, path=path
    )
    return ImageHeader(shape, affine, dtype, place, phases, 0 if phases > 1 else 3, phases > 1, rescaling=rescaling)


def _order(start: bytes) -> str | None:
    return next(
        (order for order in "<>" if len(start) >= 348 and struct.unpack_from(f"{order}i", start)[0] in LAYOUTS), None
    )


def _layout(start: bytes, path: Path) -> tuple[str, _Layout]:
    order = _order(start)
    layout = LAYOUTS[struct.unpack_from(f"{order}i", start)[0]] if order else None
    if order is None or layout is None or len(start) < layout.size:
        raise UnusableInput(truncated_header(path))
    magic = start[344:348] if layout.size == 348 else start[4:8]
    if magic[:3] in (b"ni1", b"ni2"):
        raise UnusableInput(
            f"{path} is the header of a NIfTI in two files (.hdr and .img), which is not supported; save it as one "
            ".nii file."
        )
    if magic[:3] not in (b"n+1", b"n+2"):
        raise UnusableInput(
            f"{path} is an Analyze 7.5 file, or a NIfTI without its signature, and does not state its axes; export it "
            "again as NIfTI."
        )
    if len(start) < layout.voxels_at_least:
        raise UnusableInput(truncated_header(path))
    return order, layout


def _dtype(code_and_bits: tuple[int, int], order: str, path: Path) -> np.dtype:
    code, bits = code_and_bits
    if code in SEVERAL_VALUES:
        raise UnusableInput(
            f"{path} contains {SEVERAL_VALUES[code]} values; choose a single 3D volume of plain numbers."
        )
    if code not in DATATYPES:
        wrong_header(path, f"states a value type that is not supported (NIfTI datatype {code})")
    dtype = np.dtype(order + DATATYPES[code])
    if bits != dtype.itemsize * 8:
        wrong_header(path, f"states {bits} bits per value for datatype {code}, which takes {dtype.itemsize * 8}")
    return dtype


def _shape(dim: tuple[int, ...], path: Path) -> tuple[tuple[int, int, int], int]:
    """Return the number of (slices, rows, columns), and of phases: the fourth axis is time."""
    if not 1 <= dim[0] <= 7:
        wrong_header(path, f"states {dim[0]} axes")
    sizes = list(dim[1 : dim[0] + 1])
    if any(size < 1 for size in sizes):
        wrong_header(path, f"states a size of {' x '.join(map(str, sizes))} voxels")
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) == 5 and sizes[3] == 1:
        raise UnusableInput(f"{path} contains {sizes[4]} values per voxel (a vector image); choose a single 3D volume.")
    if len(sizes) == 4 and sizes[3] <= MAX_PHASES:
        return checked_shape(sizes[:3], path), sizes[3]
    return checked_shape(sizes, path), 1


def _rescaling(slope_and_intercept: tuple[float, float], path: Path) -> Rescaling:
    """Return the rescaling; by the standard and by common use, a slope of 0 or NaN means that there is none."""
    slope, intercept = slope_and_intercept
    if slope == 0 or math.isnan(slope):
        return Rescaling()
    if not math.isfinite(slope) or not math.isfinite(intercept):
        wrong_header(path, f"states an impossible scaling of values (scl_slope {slope:g}, scl_inter {intercept:g})")
    return Rescaling(float(slope), float(intercept))


def _affine(
    shape: tuple[int, int, int],
    codes: tuple[int, int],
    *,
    pixdim: tuple[float, ...],
    quaternion: tuple[float, ...],
    rows: tuple[float, ...],
    mm: float,
    path: Path,
) -> Array:
    """Return the affine to LPS mm; if several of qform, sform and pixdim are stated, they must agree."""
    spacing = np.array(pixdim[1:4], dtype=float)
    if max(codes) <= 0 or not spacing.any():
        no_geometry(path)
    if not (spacing > 0).all():  # also false for NaN
        wrong_header(path, f"states an impossible spacing (pixdim {' x '.join(f'{mm:.5g}' for mm in spacing)})")
    stated = {}
    if codes[1] > 0:
        matrix = np.array(rows, dtype=float).reshape(3, 4)
        stated["sform"] = _to_lps(shape, matrix[:, :3], matrix[:, 3], mm, path)
        lengths = np.linalg.norm(matrix[:, :3], axis=0)
        check_same_spacing((spacing * mm).tolist(), (lengths * mm).tolist(), ("pixdim", "sform"), path)
    if codes[0] > 0:
        turned = _rotation(quaternion[:3], pixdim[0], path) * spacing
        stated["qform"] = _to_lps(shape, turned, np.array(quaternion[3:]), mm, path)
    if len(stated) == 2:
        check_same_geometry(shape, stated["qform"], stated["sform"], "qform and sform", path)
    affine = next(iter(stated.values())).copy()
    affine[:3, :3] *= spacing[::-1] * mm / np.linalg.norm(affine[:3, :3], axis=0)  # as all common readers do
    return affine


def _to_lps(shape: tuple[int, int, int], columns: Array, origin: Array, mm: float, path: Path) -> Array:
    return checked_affine(shape, RAS_TO_LPS[:, np.newaxis] * columns * mm, RAS_TO_LPS * origin * mm, path)


def _rotation(quaternion: tuple[float, ...], handedness: float, path: Path) -> Array:
    """Return the 3 x 3 rotation to RAS of the quaternion parts b, c and d.

    Its third column is reversed if pixdim[0] (``handedness``) is negative.
    """
    b, c, d = quaternion
    rest = 1.0 - (b * b + c * c + d * d)
    if not math.isfinite(rest) or rest < -1e-4:
        wrong_header(path, "states a quaternion that is not a rotation")
    if rest < 1e-7:  # a half turn in rounded single precision
        length = math.sqrt(b * b + c * c + d * d)
        a, b, c, d = 0.0, b / length, c / length, d / length
    else:
        a = math.sqrt(rest)
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    rotation[:, 2] *= -1 if handedness < 0 else 1
    return rotation
