"""Write a plain NRRD file in chunks, from a thread that does not block the interpreter while the disk works.

SimpleITK would first copy the whole volume.

References:
    Format with raw encoding: teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Event

from ..core.events import Cancelled
from ..core.volume import Array, Volume

CHUNK_BYTES = 1 << 22
"""Number of bytes per write; after each chunk the writer checks whether it should stop."""

_TYPES = {
    "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16", "int32": "int32", "uint32": "uint32",
    "int64": "int64", "uint64": "uint64", "float32": "float", "float64": "double",
}  # fmt: skip


def write_nrrd(volume: Volume, path: Path, stop: Event) -> None:
    """Write a volume as an uncompressed NRRD file.

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
    header = _header(volume)
    with path.open("wb") as file:
        file.write(header.encode("ascii"))
        for start in range(0, len(voxels), CHUNK_BYTES):
            if stop.is_set():
                raise Cancelled
            file.write(voxels[start : start + CHUNK_BYTES])


def _header(volume: Volume) -> str:
    if volume.array.dtype.name not in _TYPES:
        raise ValueError(
            f"Voxels of type {volume.array.dtype} cannot be written; convert the volume to a scalar volume."
        )
    axes = [_vector(volume.affine[:3, axis]) for axis in (2, 1, 0)]  # NRRD names the fastest axis, the column, first
    return "\n".join(
        (
            "NRRD0004",
            f"type: {_TYPES[volume.array.dtype.name]}",
            "dimension: 3",
            "space: left-posterior-superior",
            f"sizes: {' '.join(str(size) for size in volume.shape[::-1])}",
            f"space directions: {' '.join(axes)}",
            "kinds: domain domain domain",
            f"endian: {sys.byteorder}",
            "encoding: raw",
            f"space origin: {_vector(volume.origin)}",
            "\n",  # an empty line ends the header
        )
    )


def _vector(point: Array) -> str:
    return "(" + ",".join(repr(float(x)) for x in point) + ")"
