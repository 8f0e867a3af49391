"""Small asymmetric volumes whose values are known at every point, for tests of geometry."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from LungTumorSegLib.core.volume import AxisOrder, CTVolume, Volume
from scipy.spatial.transform import Rotation

GRADIENT_HU_PER_MM = np.array([18.0, -27.0, 36.0])
"""Increase of the HU along x, y and z (LPS), HU per mm.

The three differ, and each has a sign, so that neither axes nor their directions can be confused.
"""

CENTER_LPS = np.array([-7.0, 11.0, -20.0])
"""Point with -458 HU, midway between air and water."""

CANONICAL_AXES = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=float)
"""Directions of slice, row and column in the columns: to the head, to the back, to the left."""


def hu_at(points_lps: np.ndarray) -> np.ndarray:
    """Return the HU at LPS points (..., 3): linear, so that linear interpolation is exact."""
    return np.asarray(685 + points_lps @ GRADIENT_HU_PER_MM)


def affine_of(
    spacing: npt.ArrayLike = (2.5, 0.8, 0.7),
    turn_degrees: npt.ArrayLike = (0.0, 0.0, 0.0),
    origin: npt.ArrayLike = (-11.0, 7.0, -30.0),
    axes: np.ndarray = CANONICAL_AXES,
) -> np.ndarray:
    """Return an affine with ``axes`` rotated about x, y and z, and with voxel (0, 0, 0) at ``origin``."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn_degrees, degrees=True).as_matrix() @ axes * np.asarray(spacing)
    affine[:3, 3] = origin
    return affine


def make_ct(shape: tuple[int, int, int] = (9, 10, 12), **geometry: Any) -> CTVolume:
    """Make an int16 CT of ``hu_at``, rounded, on the grid of ``affine_of(**geometry)``.

    By default its center is at ``CENTER_LPS``, so that it contains air, lung and water in any orientation.
    """
    affine = affine_of(**geometry)
    if "origin" not in geometry:
        affine[:3, 3] = CENTER_LPS - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    points = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    return CTVolume(np.rint(hu_at(points)).astype(np.int16), affine)


def an_oblique_ct() -> CTVolume:
    """Make a CT that is rotated about all three axes, with unequal axes and spacing."""
    return make_ct(turn_degrees=(14, -9, 25))


ORIENTATIONS = tuple(
    AxisOrder((a, b, c), flips)
    for a, b, c in permutations(range(3))
    for flips in product((False, True), (False, True), (False, True))
)
"""The 48 ways to store a volume along the axes of the patient."""

SIX_ORIENTATIONS = tuple(ORIENTATIONS[8 * permutation + flips] for permutation, flips in enumerate((0, 7, 1, 6, 4, 3)))
"""Each permutation of the axes once, with different flips.

They suffice where all 48 would show nothing more; tests of ``AxisOrder`` itself use all 48.
"""


@st.composite
def random_volumes(
    draw: st.DrawFn, values: Callable[[np.random.Generator, tuple[int, int, int]], np.ndarray] | None = None
) -> Volume:
    """Draw volumes of random content, with axes in any direction (both handednesses).

    The spacing is 0.3 to 8 mm, and the origin lies within 1 m.
    """
    shape = draw(st.tuples(st.integers(8, 10), st.integers(8, 11), st.integers(8, 12)))
    quaternion = draw(st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1))
    hand = draw(st.sampled_from([-1.0, 1.0]))
    affine = np.eye(4)
    affine[:3, :3] = (
        Rotation.from_quat(quaternion).as_matrix() @ np.diag([hand, 1, 1]) * draw(st.tuples(*[st.floats(0.3, 8)] * 3))
    )
    affine[:3, 3] = draw(st.tuples(*[st.floats(-1000, 1000)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Volume(rng.integers(-1024, 3000, shape).astype(np.int16) if values is None else values(rng, shape), affine)
