"""The carina lies where the trachea divides."""

import numpy as np
import pytest
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.io.images import read_ct, read_volume
from LungTumorSegLib.isolation import carina_of
from LungTumorSegLib.isolation.carina import find_carina
from simple_chest import AFFINE, CARINA_Z_MM, SHAPE, SPACING, Z, tube
from volumes import ORIENTATIONS

APART_MM = 10.0
"""Below it both lumens of ``branching`` are two: their axes move apart by 2 mm a mm, and each has a radius of 6 mm
plus a voxel."""


def branching(depth_mm=40.0, left=True) -> np.ndarray:
    """A trachea that ends at CARINA_Z_MM, and bronchi that leave it at 45 degrees."""
    below = CARINA_Z_MM - Z
    in_reach = (below > 0) & (below < depth_mm)
    bronchi = tube(-below, -10, 6) & in_reach
    if left:
        bronchi |= tube(below, -10, 6) & in_reach
    return (tube(0, -10, 9) & (Z >= CARINA_Z_MM)) | bronchi


def test_the_carina_lies_between_the_lumens_where_they_part():
    x, y, z = find_carina(Volume(branching(), AFFINE))
    assert (x, y) == pytest.approx((0, -10), abs=max(SPACING[1:]))
    assert CARINA_Z_MM - APART_MM - SPACING[0] <= z <= CARINA_Z_MM - 6


def test_a_pocket_is_no_bronchus():
    with_pocket = branching() | (tube(20, -10, 4) & (np.abs(Z - 120) < 4)) | (tube(14, -10, 6) & (np.abs(Z - 123) < 2))
    assert find_carina(Volume(with_pocket, AFFINE)) == find_carina(Volume(branching(), AFFINE))


@pytest.mark.parametrize("airways", [
    np.zeros(SHAPE, dtype=bool), branching(left=False), branching(depth_mm=12.0),
    np.broadcast_to(tube(0, -10, 9), SHAPE),
], ids=["none", "one bronchus", "short bronchi", "a trachea alone"])  # fmt: skip
def test_without_two_bronchi_there_is_no_carina(airways):
    assert find_carina(Volume(airways, AFFINE)) is None


def test_the_carina_of_a_ct_is_that_of_its_isolation_in_every_orientation(a_chest, isolated):
    point = carina_of(a_chest.ct)
    assert point == pytest.approx(carina_of(ORIENTATIONS[29].apply(a_chest.ct)), abs=1e-6)
    assert point == pytest.approx(isolated.carina_lps, abs=1e-6)
    assert point == pytest.approx((0, -10, CARINA_Z_MM - 4), abs=4)  # two voxels; the lumens of this chest part at once


@pytest.mark.parametrize("shape", [(20, 24, 28), (1, 9, 12), (3, 1, 2)])
@pytest.mark.parametrize("hu", [-1000, -850, 40])
def test_a_crop_without_an_airway_has_no_carina(shape, hu):
    assert carina_of(CTVolume(np.full(shape, hu, np.int16), AFFINE)) is None


@pytest.mark.real_ct
def test_the_carina_of_a_real_ct_is_where_a_radiologist_drew_it(real_ct_folder):
    folder = real_ct_folder / "4dlung_113"
    drawn = read_volume(folder / "mask_carina_c40.nii.gz")
    center = drawn.index_to_lps(np.argwhere(drawn.array > 0).mean(axis=0))
    assert carina_of(read_ct(folder / "ct.nii.gz")) == pytest.approx(center, abs=3.0)  # a slice
