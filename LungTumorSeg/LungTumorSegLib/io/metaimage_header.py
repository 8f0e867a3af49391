"""Parse the header of a MetaImage file (.mha or .mhd).

References:
    MetaIO documentation, itk.org/Wiki/MetaIO/Documentation, for fields and their defaults.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..core.errors import UnusableInput
from ..core.messages import truncated_header
from ..core.volume import Array
from .image_header import (
    SAME_SPACING,
    ImageHeader,
    VoxelPlace,
    checked_affine,
    checked_shape,
    detached_path,
    mm_per_unit,
    no_geometry,
    numbers,
    shortened,
    whole_numbers,
    wrong_header,
)
from .stored_values import Rescaling

MAX_HEADER_BYTES = 1 << 20
"""Largest header size in bytes, more than any MetaImage header needs."""

TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip
"""Value types; the format defines long as four bytes."""

SAME_FIELD = {
    "position": "Offset", "origin": "Offset", "offset": "Offset",
    "rotation": "TransformMatrix", "orientation": "TransformMatrix", "transformmatrix": "TransformMatrix",
    "elementbyteordermsb": "BinaryDataByteOrderMSB", "binarydatabyteordermsb": "BinaryDataByteOrderMSB",
}  # fmt: skip
"""Fields that have several names.

AnatomicalOrientation is not read, because writers in use state it without looking at the axes.
"""

UNSTATED = {
    "Offset": "The image does not state its origin (Offset). Positions are relative to its first voxel.",
    "TransformMatrix": "The image does not state its axes (TransformMatrix). Those of the format were assumed; check "
    "left and right.",
}
"""Fields of the geometry for which the format has a default, and what is said if they are missing."""

OTHER_MODALITIES = ("MET_MOD_MR", "MET_MOD_NM", "MET_MOD_US", "MET_MOD_PT", "MET_MOD_PET")
"""Values of Modality that contradict a CT; MET_MOD_OTHER and MET_MOD_UNKNOWN say nothing."""

_START = re.compile(rb"\s*(?:[A-Za-z]\w*[ \t]*=[^\n]*\n\s*){0,9}?(?:ObjectType|NDims)[ \t]*=")


def is_metaimage(start: bytes) -> bool:
    """Return whether a file that begins with ``start`` is a MetaImage.

    The format has no signature; its first fields identify it.
    """
    return _START.match(start[:4096]) is not None


def parse_metaimage(file: BinaryIO, path: Path) -> ImageHeader:
    """Check the header of a MetaImage file that is open at its start, and return what it states.

    Raises:
        UnusableInput: If a field is missing, wrong, or states something that is not supported.
    """
    fields = _read_fields(file, path)
    end = file.tell()
    if fields.get("ObjectType", "Image").lower() != "image":
        wrong_header(path, f'does not describe an image but "{shortened(fields["ObjectType"])}"')
    axes = whole_numbers(fields.get("NDims", ""), 1)
    sizes = whole_numbers(fields.get("DimSize", ""), axes[0] if axes else None)
    channels = whole_numbers(fields.get("ElementNumberOfChannels", "1"), 1)
    if not axes or not sizes or not channels or channels[0] < 1:
        wrong_header(path, "does not state its number of axes, sizes and values per voxel (NDims, DimSize)")
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    shape = checked_shape(sizes, path, channels[0])
    dtype = _dtype(fields, path)
    rescaling = _rescaling(fields, path)
    affine = _affine(fields, axes[0], shape, path)
    count = int(np.prod(shape, dtype=object)) * channels[0] * dtype.itemsize
    place = _place(fields, end, count, path)
    doubts = (*_size_doubts(fields, axes[0]), *_modality_doubts(fields))
    assumed = tuple(sentence for name, sentence in UNSTATED.items() if name not in fields)
    return ImageHeader(shape, affine, dtype, place, channels[0], rescaling=rescaling, warnings=doubts, assumed=assumed)


def _read_fields(file: BinaryIO, path: Path) -> dict[str, str]:
    """Read the lines up to ElementDataFile, which is the last.

    Different names of the same field must not contradict each other.
    """
    fields: dict[str, str] = {}
    while raw := file.readline(MAX_HEADER_BYTES):
        if file.tell() > MAX_HEADER_BYTES:
            wrong_header(path, f"is longer than {MAX_HEADER_BYTES >> 20} MB")
        line = raw.decode("utf-8", "replace").strip()
        key, separator, value = line.partition("=")
        if not line:
            continue
        if not separator:
            wrong_header(path, f'has a line that is not a field ("{shortened(line)}")')
        name = SAME_FIELD.get(key.strip().lower(), key.strip())
        if fields.get(name, value.strip()) != value.strip():
            wrong_header(path, f'states two different values of "{shortened(name)}"')
        fields[name] = value.strip()
        if name == "ElementDataFile":
            return fields
    raise UnusableInput(truncated_header(path))


def _flag(fields: dict[str, str], name: str, default: bool, path: Path) -> bool:
    value = fields.get(name, str(default)).lower()
    if value not in ("true", "false", "1", "0"):
        wrong_header(path, f'states "{shortened(value)}" as {name}')
    return value in ("true", "1")


def _dtype(fields: dict[str, str], path: Path) -> np.dtype:
    name = fields.get("ElementType", "")
    if name not in TYPES:
        wrong_header(path, f'states "{shortened(name)}" as the type of its values, which is not supported')
    return np.dtype(TYPES[name]).newbyteorder(">" if _flag(fields, "BinaryDataByteOrderMSB", False, path) else "<")


def _rescaling(fields: dict[str, str], path: Path) -> Rescaling:
    """Return the slope and intercept that convert stored values to real values."""
    slope = numbers(fields.get("ElementToIntensityFunctionSlope", "1"), 1)
    intercept = numbers(fields.get("ElementToIntensityFunctionOffset", "0"), 1)
    if not slope or intercept is None or slope[0] == 0:
        wrong_header(path, "states an impossible scaling of values (ElementToIntensityFunctionSlope or Offset)")
    return Rescaling(slope[0], intercept[0])


def _affine(fields: dict[str, str], axes: int, shape: tuple[int, int, int], path: Path) -> Array:
    """Return the affine to LPS mm.

    As the format defines, a missing matrix is the identity, and a missing offset is 0.
    """
    stated = fields.get("ElementSpacing", fields.get("ElementSize", ""))
    spacing = numbers(stated, axes)
    if not stated:
        no_geometry(path)
    if spacing is None or min(spacing) <= 0:
        wrong_header(path, f'states an impossible spacing (ElementSpacing or ElementSize "{shortened(stated)}")')
    identity = " ".join(str(int(i % (axes + 1) == 0)) for i in range(axes * axes)) if axes <= 16 else ""
    matrix = numbers(fields.get("TransformMatrix", identity), axes * axes)
    offset = numbers(fields.get("Offset", "0 " * axes), axes)
    if matrix is None or offset is None:
        wrong_header(path, "states an impossible geometry (TransformMatrix or Offset)")
    mm = mm_per_unit(fields["DistanceUnits"], path) if fields.get("DistanceUnits", "?") != "?" else 1.0
    directions = np.array(matrix).reshape(axes, axes)[:3, :3]  # each row is the direction of one file axis
    lengths = np.linalg.norm(directions, axis=1)
    if np.abs(lengths - 1).max() > 1e-3:
        wrong_header(path, "states directions in TransformMatrix that are not of length 1")
    columns = (directions / lengths[:, np.newaxis]).T * spacing[:3] * mm
    return checked_affine(shape, columns, np.array(offset[:3]) * mm, path)


def _size_doubts(fields: dict[str, str], axes: int) -> tuple[str, ...]:
    """Return a warning if the size of the voxels is stated too and differs from their distance, which is used.

    Slices may be thicker or thinner than their distance, so this is no contradiction that could be refused.
    """
    spacing, size = (numbers(fields.get(name, ""), axes) for name in ("ElementSpacing", "ElementSize"))
    if spacing is None or size is None or np.allclose(spacing, size, rtol=SAME_SPACING, atol=0):
        return ()
    one, other = (" x ".join(f"{value:.5g}" for value in values[:3]) for values in (spacing, size))
    return (
        f"The image states a voxel spacing of {one} (ElementSpacing), which was used, and voxels of {other} "
        "(ElementSize); check the size of a known structure.",
    )


def _modality_doubts(fields: dict[str, str]) -> tuple[str, ...]:
    """Return a warning if the file states another modality than CT."""
    stated = fields.get("Modality", "").upper()
    if stated not in OTHER_MODALITIES:
        return ()
    return (
        f"The image states that it is no CT (Modality {stated}), but its values were taken for HU; check that it is "
        "the right image.",
    )


def _place(fields: dict[str, str], end: int, expected: int, path: Path) -> VoxelPlace:
    if not _flag(fields, "BinaryData", True, path):
        raise UnusableInput(
            f"The voxels of {path} are stored as text, which is not supported; save the image with binary data."
        )
    packed = _flag(fields, "CompressedData", False, path)
    skip = whole_numbers(fields.get("HeaderSize", "0"), 1)
    if not skip or skip[0] < -1 or (skip[0] and packed):
        wrong_header(path, "states bytes to skip before its voxels (HeaderSize) in a way that is not supported")
    name = fields["ElementDataFile"]
    local = name.upper() == "LOCAL"
    file, start = (path, end) if local else (detached_path(path, name), 0)
    if skip[0] == -1:
        return VoxelPlace(file, -expected, "raw")
    return VoxelPlace(file, start, "zlib" if packed else "raw", skip[0])
