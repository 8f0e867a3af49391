"""Masks as JSON values, so that a child process can hand over an outline without a file."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from .volume import Volume


def mask_as_json(mask: Volume) -> dict[str, Any]:
    """Return a Boolean mask as shape, affine (to LPS mm) and compressed bits in base64."""
    bits = zlib.compress(np.packbits(mask.array.ravel()).tobytes())
    return {"shape": list(mask.shape), "affine": mask.affine.tolist(), "bits": base64.b64encode(bits).decode("ascii")}


def mask_from_json(stored: dict[str, Any]) -> Volume:
    """Return the mask that ``mask_as_json`` stored."""
    bits = np.frombuffer(zlib.decompress(base64.b64decode(stored["bits"])), np.uint8)
    shape = tuple(stored["shape"])
    array = np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(bool)
    return Volume(array, np.asarray(stored["affine"], dtype=float))
