"""What an image file must state in its header, and whether all its voxels are there, before SimpleITK reads it.

SimpleITK fills a missing spacing with 1 mm and missing axes with the identity, turns NaN in a NIfTI into 0, and reads a truncated or
damaged NIfTI, and damaged compressed NRRD and MetaImage, into arbitrary values, all without an error (tried with 2.5.7).
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..core.errors import UnusableInput

TEXT_HEADER_BYTES = 1 << 20
"""More than any NRRD or MetaImage header needs before its voxels begin; a segmentation's header takes about 1 kB a segment."""

CHUNK_BYTES = 1 << 20

NIFTI_BYTES = 352
"""A NIfTI-1 header with its extension flag; voxels of a single-file NIfTI-1 begin here at the earliest."""

NIFTI_FLOATS = {16: "f4", 64: "f8"}
"""NIfTI-1 datatype codes that can hold NaN, and their numpy types."""

NRRD_SPACES = {
    b"left-posterior-superior",
    b"lps",
    b"right-anterior-superior",
    b"ras",
    b"left-anterior-superior",
    b"las",
}
"""NRRD spaces in which left and right are defined."""


def check_image_file(path: Path) -> None:
    """Raise UnusableInput unless ``path`` is an intact NIfTI-1, NRRD or MetaImage file that states its spacing and axes.

    The fields are those of the formats' definitions: NIfTI-1 qform_code or sform_code, and pixdim; NRRD space and space directions;
    MetaImage ElementSpacing or ElementSize (its axes have a defined default). Compressed voxels are unpacked once for their
    checksum, which takes as long as reading them.
    """
    try:
        with path.open("rb") as file:
            start = file.read(TEXT_HEADER_BYTES)
            if start.startswith(b"NRRD"):
                states_geometry = _check_nrrd(file, start)
            elif path.suffix.lower() in (".mha", ".mhd"):
                states_geometry = _check_metaimage(file, start)
            else:
                states_geometry = _check_nifti(file, start)
    except (EOFError, OSError, zlib.error) as error:
        raise UnusableInput(f"{path} is damaged or truncated; copy or export it again.") from error
    except _UnknownFormatError as error:
        raise UnusableInput(
            f"{path} is none of DICOM, NIfTI (.nii, .nii.gz), NRRD or MetaImage (.mha, .mhd); convert it."
        ) from error
    except _NotFiniteError as error:
        raise UnusableInput(
            f"{path} contains values that are not numbers (NaN or infinite); export it again from its source."
        ) from error
    if not states_geometry:
        raise UnusableInput(
            f"{path} does not state its voxel spacing and axes; export it again from its source with its geometry."
        )


class _UnknownFormatError(Exception):
    """Not a format of this package."""


class _NotFiniteError(Exception):
    """NaN or infinity among the voxels."""


def _check_nrrd(file: BinaryIO, start: bytes) -> bool:
    """True if the NRRD header states spacing and axes; raises zlib.error, OSError or EOFError if gzipped voxels are damaged."""
    header, _, _ = start.partition(b"\n\n")
    fields = {
        key.lower(): value.strip().lower()
        for key, value in re.findall(rb"^([^:#\n]+): ([^\n]*)$", header, re.MULTILINE)
    }
    if fields.get(b"encoding") in (b"gzip", b"gz") and not {b"data file", b"datafile"} & fields.keys():
        file.seek(len(header) + 2)
        for _ in _unpacked(file):
            pass
    return fields.get(b"space") in NRRD_SPACES and b"space directions" in fields


def _check_metaimage(file: BinaryIO, start: bytes) -> bool:
    """True if the MetaImage header states spacing; raises zlib.error or EOFError if compressed voxels are damaged."""
    voxels = re.search(rb"^ElementDataFile *= *LOCAL *\r?\n", start, re.MULTILINE)
    header = start[: voxels.end()] if voxels else start
    if voxels and re.search(rb"^CompressedData *= *True", header, re.MULTILINE):
        file.seek(voxels.end())
        unpacker = zlib.decompressobj()
        while not unpacker.eof and (chunk := file.read(CHUNK_BYTES)):
            unpacker.decompress(chunk)
        if not unpacker.eof:
            raise EOFError("Voxels are missing.")
    spacing = re.search(rb"^Element(?:Spacing|Size) *= *(.+)$", header, re.MULTILINE)
    return spacing is not None and all(float(mm) > 0 for mm in spacing.group(1).split())


def _check_nifti(file: BinaryIO, start: bytes) -> bool:
    """True if the NIfTI header states spacing and axes; raises EOFError, OSError or zlib.error if voxels are missing or damaged."""
    file.seek(0)
    chunks = _unpacked(file) if start.startswith(b"\x1f\x8b") else iter(lambda: file.read(CHUNK_BYTES), b"")
    header = b""
    while len(header) < NIFTI_BYTES and (chunk := next(chunks, b"")):
        header += chunk
    if header[344:348] != b"n+1\0":
        raise _UnknownFormatError
    order = "<" if header[:4] == struct.pack("<i", 348) else ">"
    dim = struct.unpack_from(f"{order}8h", header, 40)
    datatype, bits = struct.unpack_from(f"{order}2h", header, 70)
    pixdim = struct.unpack_from(f"{order}8f", header, 76)
    first_voxel = int(struct.unpack_from(f"{order}f", header, 108)[0])
    qform_code, sform_code = struct.unpack_from(f"{order}2h", header, 252)
    expected = math.prod(max(n, 1) for n in dim[1 : dim[0] + 1]) * bits // 8
    found = 0
    for voxels in _whole_voxels(header[first_voxel:], chunks, max(bits // 8, 1)):
        found += len(voxels)
        if datatype in NIFTI_FLOATS and not np.isfinite(np.frombuffer(voxels, order + NIFTI_FLOATS[datatype])).all():
            raise _NotFiniteError
    if found < expected:
        raise EOFError("Voxels are missing.")
    return (qform_code > 0 or sform_code > 0) and all(mm > 0 for mm in pixdim[1:4])


def _whole_voxels(begun: bytes, chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The bytes of ``begun`` and ``chunks``, cut between voxels of ``size`` bytes."""
    for chunk in chunks:
        whole = len(begun) // size * size
        yield begun[:whole]
        begun = begun[whole:] + chunk
    yield begun[: len(begun) // size * size]


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    """The content of a gzip file piece by piece, its checksum compared at the end."""
    with gzip.open(file) as unpacked:
        while chunk := unpacked.read(CHUNK_BYTES):
            yield chunk
