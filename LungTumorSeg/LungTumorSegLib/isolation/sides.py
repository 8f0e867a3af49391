"""Which lung is which: left and right judged about the spine axis and parted where they touch; part of step 2 of lung isolation."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..ct import Array, Volume
from .morphology import Spacing, erode
from .spine import SpineAxis

BRIDGE_SHARE = 0.1
"""A region with less than this share of its volume beyond the axis is one lung that bulges over it; with more, two lungs may touch."""

BRIDGE_RADII_MM = (2.0, 3.0, 4.0, 6.0, 8.0, 10.0)
"""Erosions tried to break a bridge between the lungs; junction lines are 1 to 5 mm thick, gaps in them 5 to 20 mm high."""


def separate_sides(air: Volume, axis: SpineAxis) -> tuple[Volume, Volume]:
    """Left and right lung, bool masks on the grid of ``air`` (axial LPS), itself the mask of both; left is at larger x.

    Every connected region goes to the side of the spine axis where most of it lies. A region that is large on both sides is eroded until
    it falls apart into a left and a right core, from which the sides grow back over it: they meet where the bridge is narrowest.
    """
    left_of_axis = is_left(axis, air)
    left = np.zeros(air.shape, bool)
    labels, _ = ndimage.label(air.array)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        region = labels[box] == label
        share = left_of_axis[box][region].mean()
        if min(share, 1 - share) < BRIDGE_SHARE:
            left[box] |= region if share > 0.5 else False
        else:
            left[box] |= _left_part(region, left_of_axis[box], air.spacing)
    return air.with_array(left), air.with_array(air.array & ~left)


def is_left(axis: SpineAxis, grid: Volume) -> Array:
    """True on the patient's left of the axis, a bool array of the shape of ``grid`` (axial LPS, so columns run to the left)."""
    beyond = np.arange(grid.shape[2]) > axis.columns(grid)[:, None]
    return np.broadcast_to(beyond[:, None, :], grid.shape)


def _left_part(region: Array, left_of_axis: Array, spacing: Spacing) -> Array:
    """The voxels of a connected ``region`` that belong to the left lung; cut at the axis where no erosion parts it."""
    for radius in BRIDGE_RADII_MM:
        labels, count = ndimage.label(erode(region, radius, spacing))
        numbers = np.arange(1, count + 1)
        sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        shares = np.asarray(ndimage.mean(left_of_axis, labels, numbers)) if count else np.zeros(0)
        lefts, rights = numbers[shares > 1 - BRIDGE_SHARE], numbers[shares < BRIDGE_SHARE]
        eroded = sizes.sum()
        if sizes[lefts - 1].sum() + sizes[rights - 1].sum() > (1 - BRIDGE_SHARE) * eroded and len(lefts) and len(rights):
            return _grown(np.isin(labels, lefts), np.isin(labels, rights), region)
    return region & left_of_axis


def _grown(left: Array, right: Array, region: Array) -> Array:
    """``left`` grown within ``region`` at the same pace as ``right``, one voxel a step, until all of it is shared out."""
    touching = ndimage.generate_binary_structure(3, 1)
    while True:
        more_left = ndimage.binary_dilation(left, touching, mask=region & ~right) & ~left
        left = left | more_left
        more_right = ndimage.binary_dilation(right, touching, mask=region & ~left) & ~right
        right = right | more_right
        if not more_left.any() and not more_right.any():
            return left
