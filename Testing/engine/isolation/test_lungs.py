"""Lungs are the air that belongs to lungs: without gas in a bowel, with vessels and with the remnants that disease
leaves."""

import numpy as np
import pytest
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.isolation import isolate_lungs
from LungTumorSegLib.isolation.carina import find_carina
from LungTumorSegLib.isolation.lungs import (
    LUNG_HU,
    fill_lung,
    find_air_regions,
    find_dependent,
    find_fragments,
    find_lung_air,
    with_walls,
)
from scipy import ndimage
from simple_chest import AFFINE, X, Y, Z, dice, ellipsoid, every_second


def lung_air_of(chest):
    return find_lung_air(chest.ct, find_air_regions(chest.ct, chest.volume("body"), chest.volume("airways")))


def test_air_is_lung_without_vessels_and_airways(a_chest):
    air = lung_air_of(a_chest).array
    expected = a_chest.lungs & (a_chest.hu < -500) & ~with_walls(a_chest.volume("airways"))
    np.testing.assert_array_equal(air, expected)


@pytest.mark.parametrize("gas_hu", [-1000, -930], ids=["pure", "blurred"])
def test_gas_below_the_lungs_is_no_lung(a_chest, gas_hu):
    stomach = ellipsoid((60, -50, -28), (40, 25, 12))
    gas = stomach & a_chest.body & ~a_chest.lungs
    assert gas.sum() > 0.05 * a_chest.left.sum()  # so that only its density and place tell it from a lung
    assert not lung_air_of(a_chest.painted(gas, gas_hu)).array[gas].any()


def test_a_lung_with_emphysema_is_lung(a_chest):
    emphysema = a_chest.painted(a_chest.left & (a_chest.hu < -500), -930)
    air = lung_air_of(emphysema).array
    assert air[a_chest.left & (a_chest.hu < -500)].mean() > 0.99


def test_a_chest_without_air_has_no_lung(a_chest):
    assert not lung_air_of(a_chest.painted(a_chest.body, 40)).array.any()


class TestFragments:
    def fragments(self, chest, hu, region):
        remnant = ellipsoid((60, 20, 40), (12, 8, 10))
        collapsed = chest.painted(chest.left, 40).painted(remnant, hu)
        air = lung_air_of(collapsed)
        assert not air.array[remnant].any()
        regions = find_air_regions(collapsed.ct, chest.volume("body"), chest.volume("airways"))
        found = find_fragments(collapsed.ct, regions, chest.volume("airways"), air, region).array
        return found, remnant

    def test_a_remnant_where_lung_is_expected_is_lung(self, a_chest):
        found, remnant = self.fragments(a_chest, -700, a_chest.left)
        np.testing.assert_array_equal(found, remnant)

    def test_air_where_no_lung_is_expected_is_none(self, a_chest):
        assert not self.fragments(a_chest, -700, a_chest.right)[0].any()

    def test_a_pocket_of_gas_is_none(self, a_chest):
        assert not self.fragments(a_chest, -960, a_chest.left)[0].any()

    def test_air_behind_the_trachea_is_in_the_esophagus(self, a_chest):
        """The same bit of air behind the trachea, beside it, and behind it but below the carina."""
        airways, everywhere = a_chest.volume("airways"), np.ones_like(a_chest.body)
        carina = find_carina(airways)
        for z, x, y, is_lung in ((25, 0, 20, False), (25, 30, 0, True), (-15, 0, 30, True)):
            bit = ellipsoid((carina[0] + x, carina[1] + y, carina[2] + z), (5, 3, 8)) & ~with_walls(airways)
            chest = a_chest.painted(everywhere, 40).painted(bit, -680)
            nothing = airways.with_array(np.zeros_like(everywhere))
            body = airways.with_array(everywhere)
            found = find_fragments(
                chest.ct, find_air_regions(chest.ct, body, airways), airways, nothing, everywhere
            ).array
            assert (found.sum() > 0.5 * bit.sum()) == is_lung, (z, x, y)
            assert found.any() == is_lung

    def test_a_rest_of_an_airways_wall_is_none(self, a_chest):
        """A bit of air 3 voxels wide right beside the wall that was taken out, and the same bit somewhat farther
        away."""
        airways, everywhere = a_chest.volume("airways"), np.ones_like(a_chest.body)
        walls = with_walls(airways)
        index, row, column = np.argwhere(airways.array).mean(axis=0).astype(int)
        outside = column + int(np.argmin(walls[index, row, column:]))
        for gap, is_lung in ((0, False), (3, True)):
            bit = np.zeros_like(walls)
            bit[index - 1 : index + 2, row - 1 : row + 2, outside + gap : outside + gap + 3] = True
            bit &= ~walls
            chest = a_chest.painted(np.ones_like(walls), 40).painted(bit, -700)
            nothing = airways.with_array(np.zeros_like(walls))
            body = airways.with_array(everywhere)
            assert bit.sum() * airways.voxel_volume_ml > 0.03
            assert (
                find_fragments(
                    chest.ct, find_air_regions(chest.ct, body, airways), airways, nothing, everywhere
                ).array.any()
                == is_lung
            )


def test_filling_takes_vessels_in_and_nothing_beyond_the_lung(a_chest):
    right = a_chest.volume("right").with_array(a_chest.right & (a_chest.hu < -500))
    filled = fill_lung(right, a_chest.volume("body"), a_chest.volume("airways")).array
    inside = a_chest.right & ~with_walls(a_chest.volume("airways"))
    assert filled[inside].mean() > 0.999  # a voxel may be missing where the vessel leaves the lung
    assert (
        filled & ~a_chest.right
    ).sum() < 0.002 * a_chest.right.sum()  # an ellipsoid is convex: a closing adds the voxels' corners only


@pytest.mark.parametrize(("volume_ml", "is_lung"), [(0.0, False), (0.9, False), (1.1, True)])
def test_less_than_1_ml_of_air_is_no_lung(a_chest, volume_ml, is_lung):
    air = np.zeros_like(a_chest.left)
    air.flat[np.flatnonzero(a_chest.left)[: round(volume_ml / a_chest.volume("left").voxel_volume_ml)]] = True
    filled = fill_lung(a_chest.volume("left").with_array(air), a_chest.volume("body"), a_chest.volume("airways"))
    assert filled.array.any() == is_lung


def test_dependent_lung_belongs_to_the_lungs(a_chest):
    """Lung pressed to -480 to -320 HU at the back is lung; without it a fifth of each lung would be lost."""
    depth = np.clip((Y - 25) / 40, 0, 1)
    layer = a_chest.lungs & (Y > 25)
    found = isolate_lungs(every_second(a_chest.painted(layer, -480 + 160 * depth).ct))
    true = a_chest.lungs & ~with_walls(a_chest.volume("airways"))
    assert layer.sum() > 0.1 * a_chest.lungs.sum()
    assert dice(found.lungs.array, true[:, ::2, ::2]) > 0.98


def test_the_blurred_border_of_a_lung_is_not_dependent(a_chest):
    blurred = Volume(ndimage.gaussian_filter(a_chest.hu, (0, 1, 1)).astype(np.int16), AFFINE)
    air, nothing = blurred.array < LUNG_HU, np.zeros(blurred.shape, bool)
    assert not find_dependent(blurred, a_chest.volume("body"), a_chest.volume("airways"), air, nothing).any()


def test_what_a_wall_parts_from_the_lung_is_not_dependent_lung(a_chest):
    bowel = ellipsoid((64, -5, -36), (30, 30, 16))
    chest = a_chest.painted(bowel & (Z < -20), -400)
    found = find_dependent(chest.ct, chest.volume("body"), chest.volume("airways"), chest.left, chest.right)
    assert not found.any()


def test_the_other_lung_is_never_dependent_lung(a_chest):
    touching = a_chest.painted(a_chest.lungs | ellipsoid((0, -40, 60), (40, 8, 30)), -850)
    left, right = a_chest.left | (touching.hu == -850) & (X > 0), (touching.hu == -850) & (X <= 0)
    found = find_dependent(touching.ct, touching.volume("body"), touching.volume("airways"), left, right)
    assert not (found & right).any()
