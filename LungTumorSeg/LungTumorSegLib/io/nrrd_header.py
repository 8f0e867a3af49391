"""Parse the header of an NRRD file, attached or detached.

References:
    Kindlmann, "Definition of NRRD file format", teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..core.errors import UnusableInput
from ..core.messages import truncated_header
from ..core.volume import Array
from .image_header import (
    MAX_PHASES,
    SAME_SPACING,
    ImageHeader,
    Packing,
    VoxelPlace,
    check_same_spacing,
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

MAX_HEADER_BYTES = 1 << 24
"""Largest header size in bytes; the header of a segmentation takes about 1 kB per segment."""

MAX_HEADER_LINES = 1 << 17
"""Largest number of header lines; the header of a segmentation takes about ten lines per segment."""

MAX_AXES = 16
"""Largest number of axes that the format allows."""

_TYPE_NAMES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
TYPES = {name: code for code, names in _TYPE_NAMES.items() for name in names.split(", ")}

TO_LPS = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
"""Spaces that define left and right, and the signs that convert their axes to LPS."""

SPATIAL_KINDS = {"domain", "space", "???", "none"}
"""Kinds of an axis that may have a direction in space; "???" and "none" mean that the kind is not stated."""

SERIES_KINDS = {"list", "time"}
"""Kinds of an axis along which 3D images are listed: phases, or the layers of a segmentation."""

HU_NAMES = {"", "1", "hu", "hounsfield", "hounsfield unit", "hounsfield units"}
"""What "sample units" may state about a CT in HU."""

PACKINGS: dict[str, Packing] = {"raw": "raw", "gzip": "gzip", "gz": "gzip"}

ALIASES = {
    "datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip", "centerings": "centers",
    "oldmin": "old min", "oldmax": "old max", "sampleunits": "sample units", "axismins": "axis mins",
    "axismaxs": "axis maxs",
}  # fmt: skip

_FIELD = re.compile(r"([^:]+): (.*)")
_VECTOR = re.compile(r"none|\(\s*[^()\s]*(?:\s*,\s*[^(),\s]*)*\s*\)", re.IGNORECASE)


@dataclass(frozen=True)
class _Text:
    """The parsed lines of a header.

    Attributes:
        fields: Fields by lower-case name.
        pairs: Key/value pairs.
        end: Byte after the empty line that ends the header.
        attached: Whether the voxels follow in the same file.
    """

    fields: dict[str, str]
    pairs: dict[str, str]
    end: int
    attached: bool


def parse_nrrd(file: BinaryIO, path: Path) -> ImageHeader:
    """Check the header of an NRRD file that is open at its start, and return what it states.

    Raises:
        UnusableInput: If a field is missing, wrong, or states something that is not supported.
    """
    text = _read_text(file, path)
    fields = text.fields
    sizes = _sizes(fields, path)
    dtype = _dtype(fields, path)
    if fields.get("space", "").lower() not in TO_LPS or "space directions" not in fields:
        if len(sizes) != 3:
            checked_shape(sizes, path)
        if "space directions" in fields and "space" in fields:
            wrong_header(
                path,
                f'states its axes in the space "{shortened(fields["space"])}", which is not read because it does '
                "not define left and right in three axes",
            )
        no_geometry(path)
    steps = _steps(fields["space directions"], len(sizes), path)
    spatial = [axis for axis, step in enumerate(steps) if step is not None]
    others = [axis for axis, step in enumerate(steps) if step is None]
    components = math.prod(sizes[axis] for axis in others)
    kinds = fields.get("kinds", "").lower().split()
    is_series = len(others) == 1 and components > 1 and bool(kinds) and kinds[others[0]] in SERIES_KINDS
    as_one = 1 if is_series and components <= MAX_PHASES else components
    shape = checked_shape([sizes[axis] for axis in spatial], path, as_one)
    _check_kinds(kinds, spatial, path)
    if len(others) > 1:
        wrong_header(path, f"states {len(others)} axes that are not spatial")
    affine, assumed = _affine(fields, steps, shape, path)
    _check_values(fields, path)
    place = _place(text, math.prod(sizes) * dtype.itemsize, path)
    component_axis = len(sizes) - 1 - others[0] if others else 3
    return ImageHeader(
        shape,
        affine,
        dtype,
        place,
        components,
        component_axis,
        is_series,
        metadata=text.pairs,
        warnings=_unit_doubts(fields),
        assumed=assumed,
    )


def _read_text(file: BinaryIO, path: Path) -> _Text:
    """Read the lines up to the first empty one.

    Raises:
        UnusableInput: If a line is not a field, or a field is stated twice.
    """
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    lines = 0
    file.readline(64)
    for raw in iter(lambda: file.readline(MAX_HEADER_BYTES), b""):
        lines += 1
        if lines > MAX_HEADER_LINES or file.tell() > MAX_HEADER_BYTES:
            wrong_header(path, f"is longer than {MAX_HEADER_BYTES >> 20} MB or {MAX_HEADER_LINES} lines")
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            return _Text(fields, pairs, file.tell(), "data file" not in fields)
        if line.startswith("#"):
            continue
        if field := _FIELD.fullmatch(line):
            name = field[1].strip().lower()
            name = ALIASES.get(name, name)
            if name in fields:
                wrong_header(path, f'states "{shortened(name)}" twice')
            fields[name] = field[2].strip()
            if name == "data file" and fields[name].upper().startswith("LIST"):
                break  # the remaining lines are file names
        elif ":=" in line:
            key, _, value = line.partition(":=")
            pairs[key] = _unescaped(value)
        else:
            wrong_header(path, f'has a line that is not a field ("{shortened(line)}")')
    if "data file" not in fields:
        raise UnusableInput(truncated_header(path))
    return _Text(fields, pairs, file.tell(), attached=False)


def _unescaped(value: str) -> str:
    return re.sub(r"\\(n|\\)", lambda match: "\n" if match[1] == "n" else "\\", value)


def _sizes(fields: dict[str, str], path: Path) -> list[int]:
    dimension = whole_numbers(fields.get("dimension", ""), 1)
    if not dimension or not 1 <= dimension[0] <= MAX_AXES:
        wrong_header(path, f'states "{shortened(fields.get("dimension", ""))}" as its number of axes')
    sizes = whole_numbers(fields.get("sizes", ""), dimension[0])
    if not sizes or min(sizes) < 1:
        wrong_header(path, f'states "{shortened(fields.get("sizes", ""))}" as its {dimension[0]} sizes')
    if "kinds" in fields and len(fields["kinds"].split()) != dimension[0]:
        wrong_header(path, f"states {len(fields['kinds'].split())} kinds for {dimension[0]} axes")
    return sizes


def _dtype(fields: dict[str, str], path: Path) -> np.dtype:
    name = " ".join(fields.get("type", "").lower().split())
    if name not in TYPES:
        wrong_header(path, f'states "{shortened(name)}" as the type of its values, which is not supported')
    dtype = np.dtype(TYPES[name])
    endian = fields.get("endian", "").lower()
    if endian not in ("little", "big") and (dtype.itemsize > 1 or endian):
        wrong_header(path, "does not state the byte order of its values (endian)")
    return dtype.newbyteorder(">" if endian == "big" else "<")


def _steps(text: str, axes: int, path: Path) -> list[list[float] | None]:
    """Return the step along each axis, in the space and unit of the file; None for an axis that is not spatial."""
    words = _VECTOR.findall(text) if len(text) < 4096 else []
    steps: list[list[float] | None] = []
    for word in words:
        steps.append(None if word.lower() == "none" else numbers(word.strip("()").replace(",", " "), 3))
        if steps[-1] is None and word.lower() != "none":
            wrong_header(path, f'states "{shortened(word)}" as a space direction')
    if len(steps) != axes or _VECTOR.sub("", text).strip():
        wrong_header(path, f'states "{shortened(text)}" as the space directions of {axes} axes')
    return steps


def _check_kinds(kinds: list[str], spatial: list[int], path: Path) -> None:
    """Raise UnusableInput if an axis that has a direction in space is said to be something else, such as time."""
    for kind in (kinds[axis] for axis in spatial if kinds):
        if kind not in SPATIAL_KINDS:
            wrong_header(path, f'states "{shortened(kind)}" as the kind of an axis that has a direction in space')


def _affine(
    fields: dict[str, str], all_steps: list[list[float] | None], shape: tuple[int, int, int], path: Path
) -> tuple[Array, tuple[str, ...]]:
    """Return the affine to LPS mm, and a warning if the origin is not stated."""
    steps = [step for step in all_steps if step is not None]
    signs = np.array(TO_LPS[fields["space"].lower()], dtype=float)
    origin = numbers(fields.get("space origin", "(0,0,0)").strip("() ").replace(",", " "), 3)
    if origin is None:
        wrong_header(path, f'states "{shortened(fields["space origin"])}" as its origin')
    mm = _mm(fields, path)
    columns = np.array(steps).T
    affine = checked_affine(shape, signs[:, np.newaxis] * columns * mm, signs * origin * mm, path)
    if "spacings" in fields:
        stated = fields["spacings"].lower().split()
        found = numbers(" ".join("1" if word == "nan" else word for word in stated), len(all_steps))
        if found is None:
            wrong_header(path, f'states "{shortened(fields["spacings"])}" as the spacings of {len(all_steps)} axes')
        both = [
            (value, float(np.linalg.norm(step)))
            for word, value, step in zip(stated, found, all_steps, strict=True)
            if word != "nan" and step is not None
        ]
        check_same_spacing([a for a, _ in both], [b for _, b in both], ("spacings", "space directions"), path)
    _check_ends(fields, all_steps, path)
    if "space origin" in fields:
        return affine, ()
    return affine, ("The image does not state its origin. Positions are relative to its first voxel.",)


def _check_ends(fields: dict[str, str], all_steps: list[list[float] | None], path: Path) -> None:
    """Check that the positions of both ends of each axis, if they are stated, agree with its space direction.

    They are the outer edges of the first and last voxel, or their middles; the format allows both.

    Raises:
        UnusableInput: If they disagree, or are no numbers.
    """
    ends = []
    for name in ("axis mins", "axis maxs"):
        words = fields.get(name, "nan " * len(all_steps)).lower().split()
        found = numbers(" ".join("0" if word == "nan" else word for word in words), len(all_steps))
        if found is None:
            wrong_header(path, f'states "{shortened(fields[name])}" as the {name} of {len(all_steps)} axes')
        ends.append([None if word == "nan" else value for word, value in zip(words, found, strict=True)])
    sizes = whole_numbers(fields["sizes"], len(all_steps)) or []
    for first, last, size, step in zip(*ends, sizes, all_steps, strict=True):
        if first is None or last is None or step is None:
            continue
        between, length = abs(last - first), float(np.linalg.norm(step))
        if not any(math.isclose(between, length * count, rel_tol=SAME_SPACING) for count in (size, size - 1)):
            wrong_header(
                path,
                f"states two different lengths of an axis (axis mins and axis maxs: {between:.5g}, space directions "
                f"and sizes: {length * size:.5g})",
            )


def _mm(fields: dict[str, str], path: Path) -> float:
    """Return the millimeters per unit of the file's space."""
    for name in ("space units", "units"):
        stated = re.findall(r'"([^"]*)"', fields.get(name, ""))
        units = {mm_per_unit(unit, path) for unit in stated if unit.strip()}
        if len(units) > 1 or (units and name == "units" and units != {1.0}):
            wrong_header(path, f"states {name} that cannot be used ({shortened(fields[name])})")
        if units:
            return units.pop()
    return 1.0


def _unit_doubts(fields: dict[str, str]) -> tuple[str, ...]:
    """Return a warning if the values are stated in another unit than HU."""
    unit = fields.get("sample units", "").strip('" ')
    if unit.lower() in HU_NAMES:
        return ()
    return (
        f'The image states its values in "{shortened(unit)}" (sample units). They were taken for HU; check the CT.',
    )


def _check_values(fields: dict[str, str], path: Path) -> None:
    """Raise UnusableInput if the stored values are quantized.

    The format keeps no exact way back to the original values.
    """
    for name in ("old min", "old max"):
        if name in fields and fields[name].lower() != "nan":
            wrong_header(path, f'states that its values were quantized ("{name}"), so they are not HU')


def _place(text: _Text, expected: int, path: Path) -> VoxelPlace:
    encoding = text.fields.get("encoding", "").lower()
    if encoding not in PACKINGS:
        raise UnusableInput(
            f'The voxels of {path} are encoded as "{shortened(encoding)}", which is not supported; save it with raw '
            "or gzip encoding."
        )
    packing = PACKINGS[encoding]
    lines = whole_numbers(text.fields.get("line skip", "0"), 1)
    skip = whole_numbers(text.fields.get("byte skip", "0"), 1)
    if lines != [0] or not skip or not -1 <= skip[0] <= sys.maxsize or (skip[0] == -1 and packing != "raw"):
        wrong_header(path, "states lines or bytes to skip before its voxels in a way that is not supported")
    if text.attached and not skip[0]:
        return VoxelPlace(path, text.end, packing)
    file = path if text.attached else detached_path(path, text.fields["data file"])
    if skip[0] == -1:
        return VoxelPlace(file, -expected, "raw")
    return VoxelPlace(file, text.end if text.attached else 0, packing, skip[0])
