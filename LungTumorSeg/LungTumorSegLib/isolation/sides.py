"""Left and right lung: assigned by the spine axis and separated where they touch; part of step 2 of lung isolation."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.volume import Mask, Volume
from .morphology import Spacing, erode, label_components
from .spine import SpineAxis

BRIDGE_SHARE = 0.1
"""Share of a region's volume beyond the axis below which the region is a single lung that bulges over the axis.

With a larger share, the region may be two lungs that touch.
"""

BRIDGE_RADII_MM = (2.0, 3.0, 4.0, 6.0, 8.0, 10.0)
"""Radii of the erosions that are tried to break a bridge between the lungs, mm.

Junction lines are 1 to 5 mm thick, and gaps in them are 5 to 20 mm high.
"""


def separate_sides(air: Volume, axis: SpineAxis) -> tuple[Volume, Volume]:
    """Separate left and right lung.

    Each connected region is assigned to the side of the spine axis where most of it lies. A region that is large on
    both sides is eroded until it separates into a left and a right core. From these cores, the sides grow back over the
    region, so they meet where the bridge is narrowest.

    Args:
        air: Both lungs (bool, axial LPS).
        axis: The spine axis.

    Returns:
        The left lung, at larger x, and the right lung (bool, same grid).
    """
    left_of_axis = is_left(axis, air)
    left = np.zeros(air.shape, bool)
    labels, _ = label_components(air.array)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        region = labels[box] == label
        share = left_of_axis[box][region].mean()
        if min(share, 1 - share) < BRIDGE_SHARE:
            left[box] |= region if share > 0.5 else False
        else:
            left[box] |= _left_part(region, left_of_axis[box], air.spacing)
    return air.with_array(left), air.with_array(air.array & ~left)


def is_left(axis: SpineAxis, grid: Volume) -> Mask:
    """Return which voxels lie on the patient's left of the axis.

    Args:
        axis: The spine axis.
        grid: A volume in axial LPS order, in which columns increase toward the left.

    Returns:
        bool, of the shape of ``grid``.
    """
    beyond = np.arange(grid.shape[2]) > axis.columns(grid)[:, None]
    return np.broadcast_to(beyond[:, None, :], grid.shape)


def _left_part(region: Mask, left_of_axis: Mask, spacing: Spacing) -> Mask:
    """Return the voxels of a connected ``region`` that belong to the left lung.

    If no erosion separates the region, it is cut at the axis.
    """
    levels = [region]
    for radius in BRIDGE_RADII_MM:
        levels.append(erode(region, radius, spacing))
        cores = _cores(levels[-1], left_of_axis)
        if cores is not None:
            left, right = cores
            # Over thick parts first, so that the sides meet where the bridge is thinnest.
            for level in reversed(levels[:-1]):
                left, right = _grown(left, right, level)
            return left
    return region & left_of_axis


def _cores(eroded: Mask, left_of_axis: Mask) -> tuple[Mask, Mask] | None:
    """Return the left and the right parts of an eroded region, or None if they are not nearly all of it."""
    labels, count = label_components(eroded)
    sizes = np.bincount(labels.ravel(), minlength=count + 1).astype(float)
    shares = np.bincount(labels[left_of_axis], minlength=count + 1) / np.maximum(sizes, 1)
    sizes[0] = 0
    lefts, rights = shares > 1 - BRIDGE_SHARE, shares < BRIDGE_SHARE
    lefts[0] = rights[0] = False
    parted = sizes[lefts].sum() + sizes[rights].sum() >= (1 - BRIDGE_SHARE) * sizes.sum()
    return (lefts[labels], rights[labels]) if parted and lefts.any() and rights.any() else None


def _grown(left: Mask, right: Mask, region: Mask) -> tuple[Mask, Mask]:
    """Grow ``left`` and ``right`` within ``region`` by one voxel per step each, as far as possible."""
    while True:
        free = region & ~left & ~right
        more_left = ndimage.binary_dilation(left) & free
        more_right = ndimage.binary_dilation(right) & free & ~more_left
        if not more_left.any() and not more_right.any():
            return left, right
        left, right = left | more_left, right | more_right
