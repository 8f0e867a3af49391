"""Shapes and patterns of implants, drawn at random: lumpy balls, half-spaces, textures."""

from __future__ import annotations

import numpy as np

from ..core.volume import Array, Float32Array

SPICULE_SHARE, SPICULE_WIDTH = 0.45, 0.012
"""Share of the blobs with spicules, and how fast one narrows with 1 - cosine of the angle to it."""

WAVES = 6
"""Number of waves in the surface of a blob."""


def blob(points: Float32Array, radius_mm: float, rng: np.random.Generator) -> Float32Array:
    """Draw a lumpy, sometimes spiculated ellipsoid around 0.

    Args:
        points: Positions from its center (3, slice, row, column), mm.
        radius_mm: Approximate radius, mm.
        rng: The random generator.

    Returns:
        Approximate signed distance (slice, row, column), mm, negative inside.
    """
    stretch = rng.uniform(0.75, 1.3, 3).astype(np.float32)
    turned = np.tensordot(_rotation(rng).astype(np.float32), points, 1) / stretch[:, None, None, None]
    distance = np.sqrt((turned**2).sum(axis=0))
    direction = turned / np.maximum(distance, 1e-3)
    bumps = np.zeros_like(distance)
    for wave in rng.normal(0, 2.5, (WAVES, 3)).astype(np.float32):
        bumps += np.cos(np.tensordot(wave, direction, 1) + np.float32(rng.uniform(0, 2 * np.pi)))
    reach = radius_mm * (1 + rng.uniform(0.03, 0.22) * bumps / np.sqrt(WAVES))
    if rng.random() < SPICULE_SHARE:
        for _ in range(rng.integers(3, 12)):
            spike = rng.normal(size=3)
            cosine = np.tensordot((spike / np.linalg.norm(spike)).astype(np.float32), direction, 1)
            reach += radius_mm * np.float32(rng.uniform(0.2, 0.7)) * np.exp((cosine - 1) / SPICULE_WIDTH)
    return np.asarray(distance - reach, np.float32)


def _rotation(rng: np.random.Generator) -> Array:
    """Draw a random orthogonal matrix (3, 3)."""
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return np.asarray(q)


def texture(points: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Draw a smooth pattern with a standard deviation of about 1 and wavelengths of 10 to 40 mm.

    Args:
        points: Positions (3, slice, row, column), mm.
        rng: The random generator.

    Returns:
        The pattern (slice, row, column), without a unit.
    """
    waves = rng.normal(size=(4, 3))
    waves *= (2 * np.pi / rng.uniform(10, 40, 4) / np.linalg.norm(waves, axis=1))[:, None]
    total = np.zeros(points.shape[1:], np.float32)
    for wave in waves.astype(np.float32):
        total += np.cos(np.tensordot(wave, points, 1) + np.float32(rng.uniform(0, 7)))
    return np.asarray(total / np.sqrt(2.0))


def beyond_plane(points: Float32Array, axis: Array, rng: np.random.Generator) -> Float32Array:
    """Draw an uneven half-space that begins at 0 and extends along ``axis``.

    Args:
        points: Positions (3, slice, row, column), mm.
        axis: Direction (slice, row, column), a unit vector.
        rng: The random generator.

    Returns:
        Approximate signed distance (slice, row, column), mm, negative inside.
    """
    return np.asarray(4 * texture(points, rng) - np.tensordot(axis, points, 1), np.float32)
