"""A checksum by which two files of the same CT are recognized."""

from __future__ import annotations

import hashlib

import numpy as np

from ..core.volume import Volume

INT16 = np.iinfo(np.int16)


def ct_checksum(ct: Volume) -> str:
    """Return the SHA-256 of the voxels of a CT, as hexadecimal digits.

    The HU are rounded to int16 and taken in canonical axes, so that the checksum depends neither on the file format nor
    on the order of the axes. Positions are not included.

    Args:
        ct: HU (slice, row, column).
    """
    order = ct.canonical_axes()
    upright = np.flip(ct.array.transpose(order.permutation), tuple(np.flatnonzero(order.flips)))
    digest = hashlib.sha256(str(upright.shape).encode())
    for plane in upright:  # one slice at a time, because a copy of a large CT may not fit into memory
        digest.update(np.clip(np.rint(plane), INT16.min, INT16.max).astype("<i2").tobytes())
    return digest.hexdigest()
