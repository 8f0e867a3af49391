"""Children are isolated with lengths in proportion to their size; nothing changes for adults."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.io.images import read_ct
from LungTumorSegLib.isolation import isolate_lungs
from LungTumorSegLib.isolation.body_size import SMALLEST_UNIT, size_mm, unit_of
from simple_chest import dice
from volumes import affine_of


def a_body(width: int, depth: int, *, margin: int = 5) -> Volume:
    """A box of tissue, ``width`` x ``depth`` voxels of 2 mm."""
    array = np.zeros((6, depth + 2 * margin, width + 2 * margin), bool)
    array[:, margin : margin + depth, margin : margin + width] = True
    return Volume(array, affine_of((3.0, 2.0, 2.0)))


def test_the_size_is_the_mean_of_width_and_depth():
    assert size_mm(a_body(160, 90)) == pytest.approx(240)


@pytest.mark.parametrize(
    ("width", "depth", "unit"),
    [(134, 113, 1.0), (160, 90, 1.0), (105, 105, 0.7), (75, 75, 0.5), (10, 10, SMALLEST_UNIT)],
)
def test_the_unit_is_1_for_adults_and_proportional_to_the_size_for_children(width, depth, unit):
    assert unit_of(a_body(width, depth)) == pytest.approx(unit)


def test_a_body_that_the_image_cuts_off_has_no_known_size():
    body = a_body(75, 75)
    assert unit_of(Volume(body.array[:, :, 20:], body.affine)) == 1.0
    assert unit_of(Volume(np.zeros_like(body.array), body.affine)) == 1.0


@pytest.mark.real_ct
@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.8, 0.7, 0.6])
def test_lungs_shrink_with_the_body(real_ct_folder, scale):
    ct = read_ct(real_ct_folder / "4dlung_113" / "ct.nii.gz")
    adult = isolate_lungs(ct)
    affine = ct.affine.copy()
    affine[:3] *= scale
    child = isolate_lungs(CTVolume(ct.array, affine))
    for side in ("left_lung", "right_lung"):
        assert dice(getattr(child, side).array, getattr(adult, side).array) >= 0.98
    assert child.warnings == adult.warnings == ()
    np.testing.assert_allclose(np.array(child.carina_lps) / scale, adult.carina_lps, atol=4)
    assert child.mask.same_grid(CTVolume(ct.array, affine))
