"""Procedural lesions: exact volume, exact truth, the right look of each kind, in phantoms and in other images."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.phantom import LesionSpec, blend_lesion, lesion_shape
from LungTumorSegLib.phantom.lesions import KINDS
from LungTumorSegLib.phantom.shapes import ellipsoid

SPACING_MM = (1.5, 0.8, 1.1)


def points(half_mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y, z (broadcastable) of a cube of voxels around the origin."""
    dz, dy, dx = SPACING_MM
    x, y, z = (np.arange(-half_mm, half_mm + d / 2, d, dtype=np.float32) for d in (dx, dy, dz))
    return x[None, None, :], y[None, :, None], z[:, None, None]


def blended(spec: LesionSpec, seed: int, background: float = -850.0, **options) -> tuple[np.ndarray, np.ndarray]:
    """HU and truth of a lesion in uniform lung."""
    shape = lesion_shape(spec, np.random.default_rng(seed))
    x, y, z = points(shape.extent_mm + 3)
    hu = np.full(np.broadcast_shapes(x.shape, y.shape, z.shape), background, np.float32)
    truth = blend_lesion(hu, shape, (x, y, z), np.random.default_rng(seed + 1), **options)
    return hu, truth


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("diameter_mm", "tolerance"), [(9.0, 0.06), (41.0, 0.01)])
def test_the_truth_has_the_volume_of_the_ball(kind, diameter_mm, tolerance):
    _, truth = blended(LesionSpec(kind, diameter_mm), seed=3)
    volume = truth.sum() * np.prod(SPACING_MM)
    assert volume == pytest.approx(
        np.pi * diameter_mm**3 / 6, rel=tolerance
    )  # a voxel of 1.3 mm3 samples the surface of 9 mm to 4 %


@pytest.mark.parametrize("seed", range(6))
def test_nothing_lies_beyond_the_extent(seed):
    shape = lesion_shape(LesionSpec("spiculated", 25.0), np.random.default_rng(seed))
    x, y, z = points(shape.extent_mm + 8)
    beyond = np.sqrt(x**2 + y**2 + z**2) > shape.extent_mm + 1
    assert (shape.distance((x, y, z))[beyond] > 0).all()
    assert (shape.spicule_distance((x, y, z))[beyond] > 0).all()


def test_a_smooth_lesion_is_an_ellipsoid():
    """Without ripples the level set is that of the ellipsoid with the drawn axes: the sign agrees everywhere."""
    drawn = lesion_shape(LesionSpec("solid", 30.0), np.random.default_rng(1))
    smooth = type(drawn)(**{**drawn.__dict__, "waves": np.zeros((1, 5)), "radius_mm": 15.0})
    x, y, z = points(26)
    turned = np.einsum("ij,jzyx->izyx", drawn.axes, np.stack(np.broadcast_arrays(x, y, z)))
    expected = ellipsoid(turned, (0.0, 0.0, 0.0), (15.0, 15.0, 15.0))
    away = np.abs(expected) > 1e-3
    assert np.array_equal(smooth.distance((x, y, z))[away] < 0, expected[away] < 0)
    assert np.linalg.det(drawn.axes) == pytest.approx(
        np.sign(np.linalg.det(drawn.axes))
    )  # the stretch keeps the volume


def test_the_center_is_inside():
    for seed in range(20):
        shape = lesion_shape(LesionSpec("solid", 3.0), np.random.default_rng(seed))
        origin = np.zeros((1, 1, 1), np.float32)
        assert shape.distance((origin, origin, origin))[0, 0, 0] < -0.5


@pytest.mark.parametrize(
    ("kind", "center_hu", "rim_hu"),
    [("solid", (-40, 110), (-40, 110)), ("ground_glass", (-800, -300), (-800, -300)),
        ("part_solid", (-60, 120), (-800, -300)),
     ("cavitary", (-1080, -780), (-40, 110)), ("spiculated", (-40, 110), (-40, 110))],
)  # fmt: skip
def test_each_kind_has_its_hu(kind, center_hu, rim_hu):
    spec = LesionSpec(kind, 24.0)
    shape = lesion_shape(spec, np.random.default_rng(8))
    x, y, z = points(shape.extent_mm + 3)
    hu = np.full(np.broadcast_shapes(x.shape, y.shape, z.shape), -850, np.float32)
    blend_lesion(hu, shape, (x, y, z), np.random.default_rng(9))
    inner = np.sqrt(x**2 + y**2 + z**2) < 2
    depth = -shape.distance((x, y, z))
    rim = (depth > 1.5) & (depth < 2.5) & (shape.inner_distance((x, y, z)) > 2 if shape.inner_share else True)
    assert center_hu[0] < np.median(hu[inner]) < center_hu[1]
    assert rim_hu[0] < np.median(hu[rim]) < rim_hu[1]


def test_spicules_reach_beyond_the_truth_and_only_they():
    for kind, beyond in (("solid", 0), ("spiculated", 60)):
        hu, truth = blended(LesionSpec(kind, 24.0), seed=5)
        shape = lesion_shape(LesionSpec(kind, 24.0), np.random.default_rng(5))
        x, y, z = points(shape.extent_mm + 3)
        outside = (shape.distance((x, y, z)) > 2) & (hu > -700)
        assert not (outside & truth).any()
        assert outside.sum() >= beyond if beyond else outside.sum() == 0


def test_a_room_cuts_the_lesion_and_its_truth():
    spec = LesionSpec("solid", 30.0)
    shape = lesion_shape(spec, np.random.default_rng(2))
    x, y, z = points(shape.extent_mm + 3)
    hu = np.full(np.broadcast_shapes(x.shape, y.shape, z.shape), -850, np.float32)
    room = np.broadcast_to((x < 3).astype(np.float32), hu.shape)
    truth = blend_lesion(hu, shape, (x, y, z), np.random.default_rng(0), room=room)
    closed = np.broadcast_to(x >= 3, hu.shape)
    assert truth.any()
    assert not truth[closed].any()
    assert (hu[closed] == -850).all()


def test_vessels_show_through_ground_glass():
    shape = lesion_shape(LesionSpec("ground_glass", 30.0), np.random.default_rng(2))
    x, y, z = points(shape.extent_mm + 3)
    hu = np.full(np.broadcast_shapes(x.shape, y.shape, z.shape), -850, np.float32)
    vessel = np.broadcast_to(np.hypot(y, z) < 2, hu.shape)
    hu[vessel] = 40
    blend_lesion(hu, shape, (x, y, z), np.random.default_rng(0))
    assert (hu[vessel] >= 40).all()


def test_the_same_generator_draws_the_same_lesion():
    first, second = (blended(LesionSpec("spiculated", 18.0), seed=4) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "fluffy"}, "no lesion kind 'fluffy'"),
        ({"place": "knee"}, "no lesion place 'knee'"),
        ({"side": "both"}, "no lesion side 'both'"),
        ({"diameter_mm": 2.9}, "from 3 to 100 mm, not 2.9"),
        ({"diameter_mm": 101.0}, "from 3 to 100 mm, not 101"),
        ({"diameter_mm": float("nan")}, "from 3 to 100 mm, not nan"),
    ],
)
def test_impossible_lesions_are_refused(spec, message):
    with pytest.raises(UnusableInput, match=message):
        LesionSpec(**spec)
