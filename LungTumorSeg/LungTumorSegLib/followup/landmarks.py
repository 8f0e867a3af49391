"""Landmarks inside the lungs: places where vessels and airways branch, and where they lie in the other CT.

Distinctive places are those at which the structure tensor of the density varies in every direction (W. Förstner and E.
Gülch, Proc. ISPRS Intercommission Workshop, 1987): branching points rather than straight vessels. Each is looked up in
the other CT by the correlation of its surroundings (block matching). Only what lies inside the lungs counts, in both
steps: the wall of the chest is by far the strongest edge, and it looks alike all along.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.volume import Array, Mask, Volume
from .lung_grid import LungGrid

MOST_LANDMARKS = 1600
PATCH_VOXELS = 3
"""Half the side of the surroundings that are compared, voxels: 21 mm for a whole side at 3 mm."""

APART_VOXELS = 2
"""Smallest distance between landmarks along each axis, voxels."""

LEAST_CORRELATION = 0.6
"""Correlation from which two places count as the same."""

LEAST_INSIDE = 0.25
"""Smallest share of the surroundings inside the lungs with which a place is looked up."""

LEAST_VARIANCE = 1e-6
"""Variance of the density below which surroundings hold nothing to compare."""

SAME_PLACE_VOXELS = 1.5
"""Distance up to which a place that was looked up in the other CT, and from there back again, is the same, voxels."""

TENSOR_SIGMA_VOXELS = 1.0
DEPTH_VOXELS = 1
"""Depth inside the lungs, voxels, from which a place may be a landmark; the pleura may slide along the ribs."""


@dataclass(frozen=True, eq=False)
class Matches:
    """Landmarks and where they were found.

    Attributes:
        index: Voxel of each landmark (n, 3).
        offset: Where its surroundings were found, relative to it, voxels (n, 3), with fractions.
        correlation: Correlation of the surroundings (n,), at most 1.
    """

    index: Array
    offset: Array
    correlation: Array


def comparable(grid: LungGrid) -> Mask:
    """Return the voxels (bool) that are compared: inside the lungs, not at their surface, and no lesion.

    The border of a lesion that grows moves, however well the lungs are registered.
    """
    inside = np.asarray(ndimage.binary_erosion(grid.lungs.array, iterations=DEPTH_VOXELS))
    return inside if grid.lesions is None else inside & ~grid.lesions.array


def distinctive_places(density: Volume, inside: Mask) -> Array:
    """Return the most distinctive voxels (n, 3) of a part of the lungs, most distinctive first.

    Args:
        density: The density on the registration's grid.
        inside: The part of the lungs (bool) on the same grid, as ``comparable`` returns it.
    """
    slopes = [np.where(inside, slope, 0) for slope in np.gradient(density.array)]
    tensor = np.empty((*density.shape, 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            tensor[..., i, j] = ndimage.gaussian_filter(slopes[i] * slopes[j], TENSOR_SIGMA_VOXELS)
            tensor[..., j, i] = tensor[..., i, j]
    least = np.zeros(density.shape, np.float32)
    least[inside] = np.linalg.eigvalsh(tensor[inside])[:, 0]
    peak = (least == ndimage.maximum_filter(least, 2 * APART_VOXELS + 1)) & (least > 0)
    index = np.argwhere(peak)
    margin = PATCH_VOXELS
    fits = ((index >= margin) & (index < np.asarray(density.shape) - margin)).all(axis=1)
    index = index[fits]
    return np.asarray(index[np.argsort(-least[tuple(index.T)], kind="stable")][:MOST_LANDMARKS])


def find_places(fixed: Array, moving: Array, inside: Mask, index: Array, reach: int) -> Matches:
    """Look up the surroundings of places of one image in another image.

    Args:
        fixed: Image (slice, row, column) with the places.
        moving: Image on the same grid, in which they are looked up.
        inside: Voxels of ``fixed`` (bool) that count in the comparison.
        index: The places, voxels (n, 3).
        reach: Largest offset along each axis, voxels.

    Returns:
        The places whose surroundings were found with a correlation of at least ``LEAST_CORRELATION``, not at the edge
        of the search.
    """
    side, around = 2 * PATCH_VOXELS + 1, reach + PATCH_VOXELS
    padded = np.pad(moving, reach, mode="edge")
    offsets, correlations = np.zeros((len(index), 3)), np.zeros(len(index))
    for n, (k, i, j) in enumerate(index.tolist()):
        box = tuple(slice(max(each - PATCH_VOXELS, 0), each + PATCH_VOXELS + 1) for each in (k, i, j))
        patch, counts = fixed[box], inside[box]
        k, i, j = k + reach, i + reach, j + reach
        window = padded[k - around : k + around + 1, i - around : i + around + 1, j - around : j + around + 1]
        if patch.shape != (side,) * 3 or window.shape != (2 * around + 1,) * 3 or counts.mean() < LEAST_INSIDE:
            continue
        scores = _correlations(patch, window, counts)
        best = np.unravel_index(int(scores.argmax()), scores.shape)
        if all(0 < b < 2 * reach for b in best):
            offsets[n] = np.array(best) - reach + [_peak(scores, best, axis) for axis in range(3)]
            correlations[n] = scores[best]
    good = correlations >= LEAST_CORRELATION
    return Matches(index[good], offsets[good], correlations[good])


def found_again(fixed: Array, moving: Array, inside: Mask, matches: Matches, reach: int) -> Matches:
    """Return those matches that lead back: what was found in ``moving`` is found in ``fixed`` at the first place.

    A wrong match rarely does, however far it lies from the expected place, so this check does not prefer small offsets.

    Args:
        fixed: The image (slice, row, column) with the places.
        moving: The image on the same grid in which they were found.
        inside: Voxels (bool) of the grid that count in the comparison.
        matches: The places and where they were found.
        reach: Largest offset along each axis, voxels.
    """
    there = matches.index + np.rint(matches.offset).astype(int)
    back = find_places(moving, fixed, inside, there, reach)
    returned = {tuple(place): place + offset for place, offset in zip(back.index.tolist(), back.offset, strict=True)}
    onward = matches.offset - np.rint(matches.offset)
    nowhere = np.full(3, np.inf)
    again = np.array([returned.get(tuple(place), nowhere) for place in there.tolist()]).reshape(-1, 3) + onward
    good = np.linalg.norm(again - matches.index, axis=1) <= SAME_PLACE_VOXELS
    return Matches(matches.index[good], matches.offset[good], matches.correlation[good])


def _correlations(patch: Array, window: Array, counts: Mask) -> Array:
    """Return the correlation of a patch with every part of the same shape in a window, where ``counts`` (bool) is set.

    Means are subtracted before anything is squared: in single precision, the difference of two squares can exceed both.
    """
    parts = np.lib.stride_tricks.sliding_window_view(window, patch.shape)
    flat = parts[..., counts].reshape(-1, np.count_nonzero(counts))
    flat -= flat.mean(axis=1, keepdims=True)
    centered = patch[counts] - patch[counts].mean()
    variance = np.maximum(np.einsum("ij,ij->i", flat, flat) / len(centered), LEAST_VARIANCE)
    own = max(float(np.mean(centered**2)), LEAST_VARIANCE)
    return np.asarray((flat @ centered / len(centered) / np.sqrt(variance * own)).reshape(parts.shape[:3]))


def _peak(scores: Array, best: tuple[np.intp, ...], axis: int) -> float:
    """Return by which fraction of a voxel the peak of a parabola through three scores lies beside the middle one."""
    before, here, after = (
        float(scores[tuple(b + step * (a == axis) for a, b in enumerate(best))]) for step in (-1, 0, 1)
    )
    bend = before - 2 * here + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
