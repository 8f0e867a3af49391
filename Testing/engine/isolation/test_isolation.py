"""Lung isolation as a whole: any orientation in, the same voxels out; sides, warnings, refusals, progress."""

from dataclasses import fields

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.core.volume import AIR_HU, AxisOrder, CTVolume
from LungTumorSegLib.isolation import LungIsolation, isolate_lungs
from LungTumorSegLib.isolation.lungs import with_walls
from LungTumorSegLib.phantom import PhantomOptions, make_phantom
from scipy.spatial.transform import Rotation
from simple_chest import AFFINE, CANAL_Y_MM, CARINA_Z_MM, SHAPE, SPACING, Z, dice, ellipsoid, every_second
from volumes import CANONICAL_AXES

VOLUMES = [
    field.name
    for field in fields(LungIsolation)
    if field.name not in ("spine_axis", "warnings", "carina_lps", "sides_known")
]


def test_lungs_are_found_on_their_sides(a_chest, isolated):
    tubes = with_walls(a_chest.volume("airways"))
    assert dice(isolated.left_lung.array, a_chest.left & ~tubes) > 0.99
    assert dice(isolated.right_lung.array, a_chest.right & ~tubes) > 0.99
    assert not (isolated.left_lung.array & isolated.right_lung.array).any()
    np.testing.assert_array_equal(isolated.lungs.array, isolated.left_lung.array | isolated.right_lung.array)


def test_the_trachea_is_no_lung(a_chest, isolated):
    assert not isolated.lungs.array[a_chest.airways & (Z > CARINA_Z_MM)].any()


def test_outside_the_mask_is_air_and_inside_nothing_changes(a_chest, isolated):
    inside = isolated.mask.array
    assert (isolated.isolated.array[~inside] == AIR_HU).all()
    np.testing.assert_array_equal(isolated.isolated.array[inside], a_chest.ct.array[inside])
    assert isolated.isolated.array.dtype == a_chest.ct.array.dtype
    assert inside[a_chest.lungs].all()


def test_the_couch_is_air(a_chest_on_a_couch):
    found = isolate_lungs(every_second(a_chest_on_a_couch.ct))
    assert (found.isolated.array[:, 62:] == AIR_HU).all()  # the table top begins in row 62
    assert not found.body.array[:, 62:].any()


ORDERS = [
    AxisOrder((1, 2, 0), (True, False, True)),
    AxisOrder((2, 0, 1), (False, True, False)),
    pytest.param(AxisOrder((0, 1, 2), (False, True, False)), marks=pytest.mark.slow),
    pytest.param(AxisOrder((2, 1, 0), (True, True, True)), marks=pytest.mark.slow),
]
"""Each axis moves to both other places, flipped and not; all 48 orders of an array are tested with the volume."""


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_every_orientation_gives_the_same_voxels(a_coarse_ct, isolated_coarsely, order):
    turned = order.apply(a_coarse_ct)
    found = isolate_lungs(turned)
    for name in VOLUMES:
        volume = getattr(found, name)
        assert volume.same_grid(turned)
        np.testing.assert_array_equal(order.undo(volume).array, getattr(isolated_coarsely, name).array)
    np.testing.assert_allclose(found.spine_axis.points_lps, isolated_coarsely.spine_axis.points_lps, atol=1e-6)


def test_reordering_an_isolation_reorders_its_volumes(isolated):
    order = AxisOrder((2, 0, 1), (True, False, True))
    turned = isolated.reordered(order)
    for name in VOLUMES:
        np.testing.assert_array_equal(getattr(turned, name).array, order.apply(getattr(isolated, name)).array)
    assert turned.spine_axis is isolated.spine_axis


@pytest.mark.parametrize("turn_degrees", [pytest.param((12, 0, 0), marks=pytest.mark.slow), (10, -12, 15)])
def test_an_oblique_grid_changes_little(turn_degrees):
    axes = Rotation.from_euler("xyz", turn_degrees, degrees=True).as_matrix() @ CANONICAL_AXES
    phantom = make_phantom(
        7311,
        PhantomOptions(spacing_mm=(7.0, 4.2, 3.8), direction=tuple(map(tuple, axes)), distractors=(), body_grid_mm=8.0),
    )
    found = isolate_lungs(phantom.ct)
    assert dice(found.left_lung.array, phantom.lungs.array == 1) > 0.95
    assert dice(found.right_lung.array, phantom.lungs.array == 2) > 0.95


def test_the_axis_has_a_point_on_each_canonical_slice(a_chest, isolated):
    points = isolated.spine_axis.points_lps
    indices = a_chest.ct.lps_to_index(points)
    np.testing.assert_allclose(indices[:, 0], np.arange(SHAPE[0]), atol=1e-6)
    assert np.abs(points[:, 0]).max() <= SPACING[2]
    assert np.abs(points[:, 1] - CANAL_Y_MM).max() < 25


class TestLungsInView:
    def lungs_of(self, a_chest, volume_ml):
        """The chest with airless lungs but for one ball of air on each side, ``volume_ml`` together."""
        radius_mm = (volume_ml / 2 * 1000 * 3 / 4 / np.pi) ** (1 / 3)
        balls = ellipsoid((-64, -5, 55), (radius_mm,) * 3) | ellipsoid((64, -5, 55), (radius_mm,) * 3)
        return every_second(a_chest.painted(a_chest.body, 40).painted(balls, -850).ct)

    def test_less_than_150_ml_is_refused(self, a_chest):
        with pytest.raises(
            UnusableInput,
            match=r"The CT shows 1[0-4]\d mL of lung, less than the 150 mL that are needed; choose a CT of the chest",
        ):
            isolate_lungs(self.lungs_of(a_chest, 130))

    def test_more_is_taken(self, a_chest):
        assert isolate_lungs(self.lungs_of(a_chest, 175)).lungs.array.any()

    def test_no_lung_at_all_is_refused(self, a_chest):
        with pytest.raises(UnusableInput, match=r"The CT shows 0 mL of lung"):
            isolate_lungs(every_second(a_chest.painted(a_chest.body, 40).ct))

    def test_air_alone_is_refused(self):
        with pytest.raises(UnusableInput, match="less than the 150 mL"):
            isolate_lungs(CTVolume(np.full((12, 60, 70), -1000, np.int16), AFFINE))

    def test_a_filled_lung_counts_with_the_other_one(self, a_chest):
        one_sided = a_chest.painted(a_chest.left, 40).painted(
            a_chest.right & ~ellipsoid((-64, -5, 55), (28, 28, 28)), 40
        )
        found = isolate_lungs(every_second(one_sided.ct))
        assert found.mask.array[a_chest.left[:, ::2, ::2]].any()  # 92 mL of air, 184 mL with its mirror image


class TestWarnings:
    def test_whole_lungs_give_none(self, isolated):
        assert isolated.warnings == ()

    @pytest.mark.parametrize(
        ("box", "border"),
        [
            ((slice(30, None), slice(None), slice(None)), "bottom"),
            ((slice(None, 40), slice(None), slice(None)), "top"),
            ((slice(None), slice(None), slice(None, 112)), "left"),
            ((slice(None), slice(None), slice(45, None)), "right"),
            ((slice(None), slice(40, None), slice(None)), "front"),
        ],
    )
    def test_a_cut_lung_is_processed_and_named(self, a_chest, box, border):
        start = [part.start or 0 for part in box]
        affine = AFFINE.copy()
        affine[:3, 3] = a_chest.ct.index_to_lps(start)
        found = isolate_lungs(every_second(CTVolume(a_chest.ct.array[box], affine)))
        expected = (a_chest.lungs & (a_chest.hu < -500))[box][:, ::2, ::2]
        assert found.lungs.array[expected].mean() > 0.97
        assert len(found.warnings) == (0 if border == "left" else 1)
        if border != "left":  # the image ends between the lungs: the right one is whole
            assert f"({border})" in found.warnings[0]


def test_a_lone_right_lung_is_the_right_one(a_chest):
    half = CTVolume(np.ascontiguousarray(a_chest.ct.array[..., :120]), AFFINE)
    found = isolate_lungs(every_second(half))
    assert not found.left_lung.array.any()
    assert dice(found.right_lung.array, a_chest.right[:, ::2, :120:2]) > 0.98


def test_progress_counts_up_to_its_total(observed):
    heard = observed.progress
    assert [progress.done for progress in heard] == list(range(1, heard[0].total + 1))
    assert {progress.stage for progress in heard} == {"isolation"}


def test_a_callback_cancels(a_coarse_ct):
    def cancel(_):
        raise Cancelled

    with pytest.raises(Cancelled):
        isolate_lungs(a_coarse_ct, cancel)


def test_floats_and_a_scanned_circle_with_padding_are_taken(a_chest, isolated_coarsely):
    rows, columns = np.indices(SHAPE[1:]) * np.array(SPACING[1:])[:, None, None]
    outside = (rows - 120) ** 2 + (columns - 165) ** 2 > 160**2
    padded = CTVolume(np.where(outside, -3024.0, a_chest.hu).astype(np.float32), AFFINE)
    found = isolate_lungs(every_second(padded))
    np.testing.assert_array_equal(found.lungs.array, isolated_coarsely.lungs.array)
    assert found.isolated.array.dtype == np.float32


def test_metal_does_not_hurt(a_chest, isolated_coarsely):
    implant = ellipsoid((0, 45, 30), (6, 6, 25)) | ellipsoid((-100, 0, 60), (8, 8, 8))
    found = isolate_lungs(every_second(a_chest.painted(implant, 9000).ct))
    assert dice(found.lungs.array, isolated_coarsely.lungs.array) > 0.99


COARSEST, COARSE, FINE = (5.0, 3.0, 2.8), (4.0, 2.6, 2.3), (3.0, 1.9, 1.7)


@pytest.mark.parametrize(
    ("seed", "spacing_mm", "options"),
    [
        pytest.param(
            7322, COARSE, {"distractors": ("effusion",), "arms": "down", "couch": "flat"}, marks=pytest.mark.slow
        ),
        (
            7321,
            COARSEST,
            {"distractors": ("collapse",), "scoliosis_mm": 30.0, "field_of_view_mm": 300.0, "body_grid_mm": 8.0},
        ),
        pytest.param(
            7321,
            COARSE,
            {"distractors": ("collapse",), "scoliosis_mm": 30.0, "field_of_view_mm": 300.0},
            marks=pytest.mark.slow,
        ),
        pytest.param(7321, FINE, {"distractors": ("collapse",)}, marks=pytest.mark.slow),
        pytest.param(7322, FINE, {"distractors": ("effusion",)}, marks=pytest.mark.slow),
        pytest.param(7323, FINE, {"scoliosis_mm": 30.0, "distractors": ()}, marks=pytest.mark.slow),
        pytest.param(7324, FINE, {"arms": "down", "couch": "flat", "distractors": ()}, marks=pytest.mark.slow),
        pytest.param(7325, FINE, {"field_of_view_mm": 300.0, "distractors": ()}, marks=pytest.mark.slow),
    ],
    ids=lambda value: str(value),
)
def test_phantoms_keep_their_lesions_inside(seed, spacing_mm, options):
    phantom = make_phantom(seed, PhantomOptions(spacing_mm=spacing_mm, lesion_diameter_mm=(5.0, 50.0), **options))
    found = isolate_lungs(phantom.ct)
    for lesion in phantom.lesions:
        assert found.mask.array[phantom.tumor.array == lesion.label].mean() >= 0.99
    assert dice(found.left_lung.array, phantom.lungs.array == 1) > 0.94
    assert dice(found.right_lung.array, phantom.lungs.array == 2) > 0.94


def test_the_result_does_not_touch_the_input(observed):
    np.testing.assert_array_equal(observed.ct.array, observed.before)
