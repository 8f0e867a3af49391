"""Write NRRD files in chunks; SimpleITK would first copy the whole volume.

References:
    Format with raw encoding: teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from threading import Event

import numpy as np

from ..core.computed import slabs
from ..core.events import Cancelled
from ..core.volume import Array, Volume

CHUNK_BYTES = 1 << 22
"""Number of bytes per write; after each chunk the writer checks whether it should stop."""

COMPRESSION_LEVEL = 1
"""zlib's fastest level: label maps shrink nearly as well as at the default, and are written several times faster."""

GZIP_BITS = 31
"""Window bits that make zlib write the gzip format."""

_TYPES = {
    "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16", "int32": "int32", "uint32": "uint32",
    "int64": "int64", "uint64": "uint64", "float32": "float", "float64": "double",
}  # fmt: skip


def write_compressed_nrrd(volume: Volume, path: Path) -> None:
    """Write a volume as a compressed NRRD file, in slabs of slices, so that a computed volume never exists as a whole.

    Args:
        volume: Voxels (slice, row, column) with an affine to LPS mm; Boolean voxels are written as 0 and 1 (uint8).
        path: The file to write.

    Raises:
        ValueError: If the voxels are not plain numbers.
        OSError: If the disk fails.
    """
    packer = zlib.compressobj(COMPRESSION_LEVEL, wbits=GZIP_BITS)
    with path.open("wb") as file:
        for first, slab in slabs(volume):
            voxels = slab.view(np.uint8) if slab.dtype == np.bool_ else slab
            if first == 0:
                file.write(_header(volume, voxels.dtype.name, "gzip").encode("ascii"))
            file.write(packer.compress(np.ascontiguousarray(voxels).data.cast("B")))
        file.write(packer.flush())


def write_nrrd(volume: Volume, path: Path, stop: Event) -> None:
    """Write a volume as an uncompressed NRRD file, from a thread that does not block the interpreter for long.

    Args:
        volume: Voxels (slice, row, column) with an affine to LPS mm.
        path: The file to write.
        stop: Cancels the writing when set.

    Raises:
        Cancelled: If ``stop`` is set.
        ValueError: If the voxels are not plain numbers.
        OSError: If the disk fails.
    """
    voxels = volume.array.ravel().data.cast("B")
    header = _header(volume, volume.array.dtype.name, "raw")
    with path.open("wb") as file:
        file.write(header.encode("ascii"))
        for start in range(0, len(voxels), CHUNK_BYTES):
            if stop.is_set():
                raise Cancelled
            file.write(voxels[start : start + CHUNK_BYTES])


def _header(volume: Volume, dtype: str, encoding: str) -> str:
    if dtype not in _TYPES:
        raise ValueError(f"Voxels of type {dtype} cannot be written; convert the volume to a scalar volume.")
    axes = [_vector(volume.affine[:3, axis]) for axis in (2, 1, 0)]  # NRRD names the fastest axis, the column, first
    return "\n".join(
        (
            "NRRD0004",
            f"type: {_TYPES[dtype]}",
            "dimension: 3",
            "space: left-posterior-superior",
            f"sizes: {' '.join(str(size) for size in volume.shape[::-1])}",
            f"space directions: {' '.join(axes)}",
            "kinds: domain domain domain",
            f"endian: {sys.byteorder}",
            f"encoding: {encoding}",
            f"space origin: {_vector(volume.origin)}",
            "\n",  # an empty line ends the header
        )
    )


def _vector(point: Array) -> str:
    return "(" + ",".join(repr(float(x)) for x in point) + ")"
