"""Read the voxels of an image file: never unpack more bytes than the header states, and accept no fewer."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..core.errors import MachineLimit, UnusableInput
from ..core.messages import out_of_memory_reading
from ..core.volume import Array
from .image_header import ImageHeader, Packing
from .regular_files import open_regular

CHUNK_BYTES = 1 << 20

MAX_RATIO = 1032
"""Largest compression ratio of deflate (zlib.net/zlib_tech.html)."""

MAX_MEMBERS = 1 << 16
"""Largest number of members in a gzip file; parallel compressors write one per 64 kB or more."""

WINDOW_BITS = {"gzip": 31, "zlib": 15}


def read_values(header: ImageHeader, path: Path) -> Array:
    """Return the real values of an image file.

    Integers stay integers if slope and intercept are whole; double precision is converted to single precision.

    Returns:
        An array (slice, row, column) in native byte order, with components on the last axis if there are several.

    Raises:
        UnusableInput: If bytes are missing or damaged, or there are too many.
        MachineLimit: If the memory does not suffice.
    """
    try:
        return header.rescaling.real(_stored(header, path))
    except MemoryError as error:
        raise MachineLimit(out_of_memory_reading(path, f"{header.voxel_bytes / 1e9:.1f} GB of voxels")) from error


def check_voxels(header: ImageHeader, path: Path) -> None:
    """Check that the voxels are complete and intact, without keeping them.

    Raises:
        UnusableInput: If bytes are missing or damaged, or there are too many.
    """
    for _ in _voxel_bytes(header, path):
        pass


def first_bytes(path: Path, count: int) -> bytes:
    """Return the first ``count`` bytes of a gzip file's content, or all of them if there are fewer.

    Raises:
        UnusableInput: If the file is damaged within these bytes.
    """
    content = b""
    try:
        with open_regular(path) as file:
            for piece in unpacked(file, "gzip"):
                content += piece
                if len(content) >= count:
                    break
    except EOFError:
        pass  # the caller judges a truncated header
    except (OSError, zlib.error) as error:
        raise _damaged(path) from error
    return content[:count]


def unpacked(file: BinaryIO, packing: Packing) -> Iterator[bytes]:
    """Yield the unpacked rest of ``file`` in chunks of at most ``CHUNK_BYTES``; checksums are verified.

    Raises:
        zlib.error: If the data are damaged.
        EOFError: If the data are truncated.
    """
    packed = file.read(CHUNK_BYTES // 16)
    for _ in range(MAX_MEMBERS):
        unpacker = zlib.decompressobj(WINDOW_BITS[packing])
        while not unpacker.eof:
            packed = packed or file.read(CHUNK_BYTES // 16)
            piece = unpacker.decompress(packed, CHUNK_BYTES)
            if not packed and not piece:
                raise EOFError
            packed = unpacker.unconsumed_tail
            yield piece
        packed = unpacker.unused_data or file.read(CHUNK_BYTES // 16)
        if packing == "zlib" or not packed.strip(b"\0"):  # gzip files may be zero-padded
            return
    raise zlib.error("The file consists of too many parts.")


def _stored(header: ImageHeader, path: Path) -> Array:
    values = np.empty(0, np.uint8)
    filled = 0
    for chunk in _voxel_bytes(header, path):
        if not values.size:  # allocated only now that the file is known to be large enough
            values = np.empty(header.voxel_bytes, np.uint8)
        values[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
        filled += len(chunk)
    shape: tuple[int, ...] = header.shape
    if header.components > 1 or header.component_axis != 3:
        shape = (*shape[: header.component_axis], header.components, *shape[header.component_axis :])
    stored = values.view(header.dtype).reshape(shape)
    if stored.ndim > 3:
        stored = np.moveaxis(stored, header.component_axis, -1)
        only = 0 if header.components == 1 else header.component
        stored = stored if only is None else stored[..., only]
    if not stored.dtype.isnative:
        stored = stored.byteswap(inplace=True).view(stored.dtype.newbyteorder())
    return np.ascontiguousarray(stored)


def _voxel_bytes(header: ImageHeader, path: Path) -> Iterator[bytes]:
    """Yield exactly as many bytes as the header states.

    Raises:
        UnusableInput: If there are fewer or more bytes, or they are damaged.
    """
    place, expected = header.place, header.voxel_bytes
    with open_regular(place.path) as file:
        size = os.fstat(file.fileno()).st_size
        offset = place.offset if place.offset >= 0 else size + place.offset
        available = max(size - offset, 0) if offset >= 0 else 0
        most = available if place.packing == "raw" else available * MAX_RATIO
        stated = expected + place.behind
        if most < place.skip + stated:
            raise _truncated(path, stated, None if place.packing != "raw" else max(available - place.skip, 0))
        if place.packing == "raw" and available > place.skip + stated:
            raise _too_long(path, stated)
        file.seek(offset)
        try:
            yield from _exactly(_chunks(file, place.packing), place.skip, expected, place.behind, path)
        except EOFError as error:
            raise _truncated(path, stated, None) from error
        except (OSError, zlib.error) as error:
            raise _damaged(path) from error


def _chunks(file: BinaryIO, packing: Packing) -> Iterator[bytes]:
    return iter(lambda: file.read(CHUNK_BYTES), b"") if packing == "raw" else unpacked(file, packing)


def _exactly(chunks: Iterator[bytes], skip: int, expected: int, behind: int, path: Path) -> Iterator[bytes]:
    """Yield ``expected`` bytes after the first ``skip``, and read ``chunks`` to the end, ``behind`` bytes later.

    Checksums are verified only at the end.
    """
    before, left, after = skip, expected, behind
    for chunk in chunks:
        rest = chunk[before:]
        before -= len(chunk) - len(rest)
        voxels, others = rest[:left], rest[left:]
        if len(others) > after:
            raise _too_long(path, expected + behind)
        left -= len(voxels)
        after -= len(others)
        yield voxels
    if left or after:
        raise _truncated(path, expected + behind, expected + behind - left - after)


def _truncated(path: Path, expected: int, found: int | None) -> UnusableInput:
    there = "" if found is None else f", but it contains {found}"
    return UnusableInput(
        f"{path} is truncated (its header states {expected} bytes of voxels{there}); copy or export it again."
    )


def _too_long(path: Path, expected: int) -> UnusableInput:
    return UnusableInput(
        f"{path} contains more than the {expected} bytes of voxels that its header states; export it again."
    )


def _damaged(path: Path) -> UnusableInput:
    return UnusableInput(f"{path} is damaged (its compressed data cannot be unpacked); copy or export it again.")
