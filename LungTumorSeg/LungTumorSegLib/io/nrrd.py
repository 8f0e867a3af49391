"""Write NRRD files in chunks; SimpleITK would first copy the whole volume.

References:
    Format: teem.sourceforge.net/nrrd/format.html.
    Compressed voxels: RFC 1951 (deflate), doi:10.17487/RFC1951, and RFC 1952 (gzip), doi:10.17487/RFC1952.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from threading import Event

import numpy as np

from ..core.computed import SLAB_SLICES, slabs
from ..core.events import Cancelled
from ..core.threads import allowed_threads, in_order, pool
from ..core.volume import Array, Grid, Volume

CHUNK_BYTES = 1 << 22
"""Number of bytes per write; after each chunk the writer checks whether it should stop."""

COMPRESSION_LEVEL = 1
"""zlib's fastest level: label maps shrink nearly as well as at the default, and are written several times faster."""

RAW_DEFLATE = -15
"""Window bits that make zlib write deflated data without a header, so that parts can be joined."""

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""Start of a gzip file: deflated, without name and time, by an unknown system."""

LAST_BLOCK = b"\x03\x00"
"""Deflated empty block that ends the data."""

_TYPES = {
    "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16", "int32": "int32", "uint32": "uint32",
    "int64": "int64", "uint64": "uint64", "float32": "float", "float64": "double",
}  # fmt: skip


def compressed_nrrd(volume: Volume) -> Iterator[bytes]:
    """Yield a compressed NRRD file in parts, one per slab of slices, so that a computed volume never exists as a whole.

    Args:
        volume: Voxels (slice, row, column) with an affine to LPS mm; Boolean voxels are stored as 0 and 1 (uint8).

    Raises:
        ValueError: If the voxels are not plain numbers.
    """
    return _compressed((slab for _, slab in slabs(volume)), volume.grid)


def compressed_layers(layers: Sequence[Array], grid: Grid, metadata: Mapping[str, str]) -> Iterator[bytes]:
    """Yield a compressed NRRD file of masks that lie on each other, which are the components of each voxel.

    Args:
        layers: The layers (slice, row, column), at least one, of equal shape and type.
        grid: Their grid.
        metadata: Free key/value pairs of the file.
    """
    firsts = range(0, grid.shape[0], SLAB_SLICES)
    parts = ([layer[first : first + SLAB_SLICES] for layer in layers] for first in firsts)
    joined = (part[0] if len(part) == 1 else np.stack(part, axis=-1) for part in parts)
    return _compressed(joined, grid, len(layers), metadata)


def _compressed(
    found: Iterator[Array], grid: Grid, components: int = 1, metadata: Mapping[str, str] | None = None
) -> Iterator[bytes]:
    """Yield the parts of a compressed NRRD file, of slabs of slices from the first slice on."""
    first = next(found)
    kind = np.dtype(np.uint8) if first.dtype == np.bool_ else first.dtype
    yield _header(grid, kind.name, "gzip", components, metadata).encode()
    yield from _gzip(_bytes_of(slab) for slab in chain([first], found))


def _bytes_of(voxels: Array) -> memoryview:
    return np.ascontiguousarray(voxels).view(np.uint8).reshape(-1).data


def _gzip(parts: Iterable[memoryview]) -> Iterator[bytes]:
    """Yield the pieces of a gzip file of several parts, which threads compress side by side.

    The parts are deflated apart, and each but the last ends at a full byte. Together they are one stream, which every
    reader takes for that of a single thread.
    """
    checksum = size = 0

    def seen(part: memoryview) -> memoryview:
        nonlocal checksum, size
        checksum, size = zlib.crc32(part, checksum), size + len(part)
        return part

    yield GZIP_HEADER
    with pool() as threads:
        yield from in_order((threads.submit(_deflated, seen(part)) for part in parts), ahead=allowed_threads())
    yield LAST_BLOCK + checksum.to_bytes(4, "little") + (size % (1 << 32)).to_bytes(4, "little")


def _deflated(part: memoryview) -> bytes:
    packer = zlib.compressobj(COMPRESSION_LEVEL, wbits=RAW_DEFLATE)
    return packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)


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
    header = _header(volume.grid, volume.array.dtype.name, "raw")
    with path.open("wb") as file:
        file.write(header.encode("ascii"))
        for start in range(0, len(voxels), CHUNK_BYTES):
            if stop.is_set():
                raise Cancelled
            file.write(voxels[start : start + CHUNK_BYTES])


def _header(
    grid: Grid, dtype: str, encoding: str, components: int = 1, metadata: Mapping[str, str] | None = None
) -> str:
    if dtype not in _TYPES:
        raise ValueError(f"Voxels of type {dtype} cannot be written; convert the volume to a scalar volume.")
    axes = [_vector(grid.affine[:3, axis]) for axis in (2, 1, 0)]  # NRRD names the fastest axis, the column, first
    sizes, kinds = [str(size) for size in grid.shape[::-1]], ["domain"] * 3
    if components > 1:
        axes, sizes, kinds = ["none", *axes], [str(components), *sizes], ["vector", *kinds]
    return "\n".join(
        (
            "NRRD0004",
            f"type: {_TYPES[dtype]}",
            f"dimension: {len(sizes)}",
            "space: left-posterior-superior",
            f"sizes: {' '.join(sizes)}",
            f"space directions: {' '.join(axes)}",
            f"kinds: {' '.join(kinds)}",
            f"endian: {sys.byteorder}",
            f"encoding: {encoding}",
            f"space origin: {_vector(grid.origin)}",
            *(f"{key}:={_escaped(value)}" for key, value in sorted((metadata or {}).items())),
            "\n",  # an empty line ends the header
        )
    )


def _escaped(value: str) -> str:
    """Return a value in one line, as the format prescribes; SimpleITK, too, replaces a carriage return by a space."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", " ")


def _vector(point: Array) -> str:
    return "(" + ",".join(repr(float(x)) for x in point) + ")"
