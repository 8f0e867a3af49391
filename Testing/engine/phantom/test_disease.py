"""Effusion and collapse are no lung and no tumor; scars stay lung."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from LungTumorSegLib.phantom import Phantom, PhantomOptions, make_phantom
from scipy import ndimage


@cache
def patient_with(*distractors: str, seed: int) -> Phantom:
    """A native, tumor-free patient without noise."""
    options = PhantomOptions(
        spacing_mm=(8.0, 4.1, 3.7),
        lesions=(),
        distractors=distractors,
        noise_hu=0,
        enhancement_hu=0,
        emphysema=0,
        body_grid_mm=8.0,
    )
    return make_phantom(seed, options)


@pytest.mark.parametrize(("name", "hu"), [("effusion", (-5, 65)), ("collapse", (25, 65))])
def test_airless_regions_leave_the_lungs_and_have_their_hu(name, hu):
    healthy, sick = patient_with(seed=12), patient_with(name, seed=12)
    lost = (healthy.lungs.array > 0) & (sick.lungs.array == 0)
    assert lost.sum() * sick.lungs.voxel_volume_ml > 20
    assert not ((healthy.lungs.array == 0) & (sick.lungs.array > 0)).any()
    assert not sick.tumor.array.any()
    assert hu[0] < np.median(sick.ct.array[ndimage.binary_erosion(lost)]) < hu[1]


def test_an_effusion_lies_at_the_back():
    healthy, sick = patient_with(seed=12), patient_with("effusion", seed=12)
    lost = (healthy.lungs.array > 0) & (sick.lungs.array == 0)
    y = [sick.lungs.index_to_lps(np.argwhere(mask))[:, 1].mean() for mask in (lost, healthy.lungs.array > 0)]
    assert y[0] > y[1] + 20


def test_no_film_of_air_remains_between_fluid_and_chest_wall():
    healthy, sick = patient_with(seed=12), patient_with("effusion", seed=12)
    lost = (healthy.lungs.array > 0) & (sick.lungs.array == 0)
    inner = ndimage.binary_erosion(
        ndimage.binary_closing(lost | (healthy.lungs.array == 0)), iterations=2
    ) & ndimage.binary_dilation(lost)
    assert np.percentile(sick.ct.array[inner & (sick.lungs.array == 0)], 1) > -250  # fat, at the darkest


def test_scars_change_the_image_but_not_the_truth():
    healthy, sick = patient_with(seed=12), patient_with("scars", seed=12)
    assert np.array_equal(healthy.lungs.array, sick.lungs.array)
    brighter = sick.ct.array.astype(int) - healthy.ct.array
    assert (brighter[healthy.lungs.array > 0] > 100).sum() > 20
