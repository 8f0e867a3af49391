"""What an image file's header must state, and whether all its voxels are there.

SimpleITK fills a missing spacing with 1 mm and the identity, and reads a truncated or damaged NIfTI, or a damaged compressed NRRD,
into arbitrary values, both without an error (tried with 2.5). So the file itself is asked first.
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

from .errors import UnusableInput

TEXT_HEADER_BYTES = 1 << 20
"""More than any NRRD or MetaImage header needs before its voxels begin; layers' terminology takes a few kB a segment."""

CHUNK_BYTES = 1 << 20

NIFTI_BYTES = 352
"""A NIfTI-1 header with its extension flag; voxels of a single-file NIfTI-1 begin here at the earliest."""


def check_image_file(path: Path) -> None:
    """Raise UnusableInput unless ``path`` is an intact NIfTI-1, NRRD or MetaImage file that states its spacing and axes.

    The fields are those of the definitions: NIfTI-1 qform_code, sform_code and pixdim; NRRD space directions or spacings;
    MetaImage ElementSpacing or ElementSize. Compressed NIfTI and NRRD are unpacked once for their checksum (about 5 ns a byte).
    """
    try:
        with path.open("rb") as file:
            start = file.read(TEXT_HEADER_BYTES)
            if start.startswith(b"NRRD"):
                states_geometry = _check_nrrd(file, start)
            elif path.suffix.lower() in (".mha", ".mhd"):
                states_geometry = b"ElementSpacing" in start or b"ElementSize" in start
            else:
                states_geometry = _check_nifti(file, start)
    except (EOFError, OSError, zlib.error) as error:
        raise UnusableInput(f"{path} is damaged or truncated; copy or export it again.") from error
    except _UnknownFormatError as error:
        raise UnusableInput(f"{path} is none of DICOM, NIfTI (.nii, .nii.gz), NRRD or MetaImage (.mha, .mhd); convert it.") from error
    if not states_geometry:
        raise UnusableInput(f"{path} does not state its voxel spacing and axes; export it again from its source with its geometry.")


class _UnknownFormatError(Exception):
    """Not a format of this package."""


def _check_nrrd(file: BinaryIO, start: bytes) -> bool:
    """True if the NRRD header states spacing; raises zlib.error or EOFError if gzipped voxels are damaged."""
    header, _, _ = start.partition(b"\n\n")
    fields = {key.strip().lower(): value.strip().lower() for key, value in re.findall(rb"^([^:#\n]+): ([^\n]*)$", header, re.MULTILINE)}
    if fields.get(b"encoding") in (b"gzip", b"gz") and b"data file" not in fields:
        file.seek(len(header) + 2)
        for _ in _unpacked(file):
            pass
    spacings = fields.get(b"spacings", b"nan")
    return b"space directions" in fields or b"nan" not in spacings


def _check_nifti(file: BinaryIO, start: bytes) -> bool:
    """True if the NIfTI header states spacing and axes; raises EOFError if voxels are missing, zlib.error if they are damaged."""
    file.seek(0)
    chunks = _unpacked(file) if start.startswith(b"\x1f\x8b") else iter(lambda: file.read(CHUNK_BYTES), b"")
    header = b""
    while len(header) < NIFTI_BYTES and (chunk := next(chunks, b"")):
        header += chunk
    if header[344:348] != b"n+1\0":
        raise _UnknownFormatError
    order = "<" if header[:4] == struct.pack("<i", 348) else ">"
    dim = struct.unpack_from(f"{order}8h", header, 40)
    bits = struct.unpack_from(f"{order}h", header, 72)[0]
    pixdim = struct.unpack_from(f"{order}8f", header, 76)
    first_voxel = int(struct.unpack_from(f"{order}f", header, 108)[0])
    qform_code, sform_code = struct.unpack_from(f"{order}2h", header, 252)
    expected = first_voxel + math.prod(max(n, 1) for n in dim[1 : dim[0] + 1]) * bits // 8
    if len(header) + sum(map(len, chunks)) < expected:
        raise EOFError("Voxels are missing.")
    return (qform_code > 0 or sform_code > 0) and all(mm > 0 for mm in pixdim[1:4])


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    """The content of a gzip file piece by piece, its checksum compared at the end."""
    with gzip.open(file) as unpacked:
        while chunk := unpacked.read(CHUNK_BYTES):
            yield chunk
