"""Each change of appearance does what it claims: means, resolution and spectrum are measured."""

from dataclasses import replace

import numpy as np
import pytest
from LungTumorSegLib.core.volume import AIR_HU
from LungTumorSegLib.training.appearance import (
    dose_noise,
    exhale,
    outside_field,
    recolor_contrast,
    sharp_kernel,
    smooth_kernel,
    thick_slices,
    vary_patient,
    vary_scan,
)
from LungTumorSegLib.training.implants import Patch
from LungTumorSegLib.training.sampling_config import AppearanceConfig
from LungTumorSegLib.training.store import IGNORED

SPACING = (3.0, 1.5, 1.5)
NOTHING = AppearanceConfig(contrast=0.0)


def blocks(*values):
    """Tissues side by side along the rows, each a block of 24 voxels, of which the inner part is looked at."""
    return np.repeat(np.array(values, np.float32), 24)[None, :, None] * np.ones((6, 1, 24), np.float32)


def middles(hu):
    return [float(np.median(hu[2:4, 24 * i + 10 : 24 * i + 14, 8:16])) for i in range(hu.shape[1] // 24)]


# Contrast agent


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.8])
def test_the_part_above_blood_is_scaled_and_nothing_else(factor):
    changed = middles(recolor_contrast(blocks(-850, -100, 30, 40, 140, 250, 900), SPACING, factor))
    agent = [0, 0, 0, 0, 100, 210, 0]
    before = [-850, -100, 30, 40, 140, 250, 900]
    assert changed == pytest.approx([hu + (factor - 1) * a for hu, a in zip(before, agent, strict=True)], abs=0.1)


@pytest.mark.parametrize("factor", [0.0, 0.4, 2.0])
def test_what_is_brighter_stays_brighter(factor):
    tissues = [-900, -100, 0, 40, 90, 160, 250, 400, 600, 800, 1500]
    assert np.all(np.diff(middles(recolor_contrast(blocks(*tissues), SPACING, factor))) >= -0.1)


def test_the_noise_of_a_vessel_keeps_its_strength():
    """Scaling voxel by voxel would cut off all noise above blood."""
    vessel = blocks(200) + np.random.default_rng(1).normal(0, 25, (6, 24, 24)).astype(np.float32)
    unenhanced = recolor_contrast(vessel, SPACING, 0.0)
    assert unenhanced.mean() == pytest.approx(40, abs=3)
    assert unenhanced.std() == pytest.approx(vessel.std(), rel=0.15)


# Breath


def test_expired_lung_has_the_same_tissue_in_less_air():
    lungs = blocks(1, 1, 1, 0) > 0
    hu = blocks(-850, -940, 30, -1000)
    expired = middles(exhale(hu, lungs, 0.6))
    assert [each + 1000 for each in expired[:2]] == pytest.approx([150 / 0.6, 60 / 0.6])
    assert expired[2:] == [30, -1000], "vessels and what lies outside the lungs keep their HU"


# Kernels


def an_edge():
    return np.where(np.arange(96) < 48, -800.0, 100.0).astype(np.float32)[None, None] * np.ones((3, 96, 1), np.float32)


def width_mm(profile, step_mm):
    """Of an edge, from 10 to 90 % of its height."""
    share = (profile - profile[0]) / (profile[-1] - profile[0])
    return float(np.interp(0.9, share, np.arange(len(share))) - np.interp(0.1, share, np.arange(len(share)))) * step_mm


@pytest.mark.parametrize("fwhm", [2.0, 4.0, 6.0])
def test_a_smooth_kernel_has_the_resolution_that_it_states(fwhm):
    """A Gaussian widens an edge to 2.563 standard deviations from 10 to 90 %."""
    blurred = smooth_kernel(an_edge(), (3.0, 0.5, 0.5), fwhm)
    assert width_mm(blurred[1, 48], 0.5) == pytest.approx(2.563 * fwhm / 2.3548, rel=0.05)
    assert blurred.mean() == pytest.approx(an_edge().mean(), abs=0.1)


def test_a_sharp_kernel_narrows_edges_overshoots_and_keeps_the_mean():
    edge = smooth_kernel(an_edge(), (3.0, 0.5, 0.5), 3.0)
    sharp = sharp_kernel(edge, (3.0, 0.5, 0.5), 2.0, 1.0)
    slope = [np.diff(each[1, 48]).max() for each in (edge, sharp)]
    assert slope[1] > 1.15 * slope[0]
    assert sharp.max() > 105
    assert sharp.mean() == pytest.approx(edge.mean(), abs=0.1)


def test_kernels_leave_slices_apart():
    hu = np.zeros((3, 16, 16), np.float32)
    hu[1] = np.random.default_rng(0).normal(0, 100, (16, 16))
    for changed in (smooth_kernel(hu, SPACING, 4.0), sharp_kernel(hu, SPACING, 4.0, 1.0)):
        assert not changed[[0, 2]].any()


# Noise


@pytest.mark.parametrize(("spacing", "peak"), [((3.0, 1.5, 1.5), 0.15), ((2.0, 0.7, 0.7), 0.3), ((1.0, 1.0, 0.5), 0.2)])
def test_noise_has_the_spectrum_and_the_strength_that_it_states(spacing, peak):
    noise = dose_noise((40, 96, 128), spacing, 20.0, peak, np.random.default_rng(3))
    assert noise.std() == pytest.approx(20, rel=0.03)
    assert np.abs(noise.mean(axis=(1, 2))).max() < 1e-4
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(0)
    frequency = np.hypot(np.fft.fftfreq(96, spacing[1])[:, None], np.fft.fftfreq(128, spacing[2]))
    rings = np.arange(0.025, 0.5 / max(spacing[1:]), 0.05)
    strength = np.array([power[np.abs(frequency - ring) < 0.025].mean() for ring in rings])
    expected = rings * np.exp(-(rings**2) / (2 * peak**2))
    np.testing.assert_allclose(strength / strength.sum(), expected / expected.sum(), atol=0.02)
    beside = np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]
    assert abs(beside) < 0.02, "slices are independent"


# Slice thickness


@pytest.mark.parametrize("thickness", [1.5, 3.0, 4.2, 8.0])
@pytest.mark.parametrize("spacing", [1.0, 1.25])
def test_thick_slices_average_what_lies_within_their_thickness(thickness, spacing):
    """A thin sheet is spread over the thickness: its signal is kept, and its second moment is that of a box."""
    hu = np.zeros((41, 3, 3), np.float32)
    hu[20] = 1000
    profile = thick_slices(hu, (spacing, 1.0, 1.0), thickness)[:, 1, 1] / 1000
    assert profile.sum() == pytest.approx(1, rel=1e-5)
    places = (np.arange(41) - 20) * spacing
    assert (profile * places).sum() == pytest.approx(0, abs=1e-4)
    assert profile.max() == pytest.approx(spacing / thickness, rel=1e-4)
    assert np.count_nonzero(profile > 1e-6) in (np.ceil(thickness / spacing), np.ceil(thickness / spacing) + 1)


def test_slices_that_are_thick_already_stay_as_they_are():
    hu = np.random.default_rng(0).normal(0, 100, (6, 4, 4)).astype(np.float32)
    np.testing.assert_array_equal(thick_slices(hu, (5.0, 1.0, 1.0), 3.0), hu)


def test_thick_slices_lower_the_noise_by_the_root_of_their_number():
    noise = np.random.default_rng(0).normal(0, 30, (60, 40, 40)).astype(np.float32)
    assert thick_slices(noise, (1.0, 1.0, 1.0), 4.0)[4:-4].std() == pytest.approx(
        30 * np.sqrt(3 * (1 / 16) + 2 * (1 / 64)), rel=0.05
    )  # four slices in an odd window: three whole ones and two halves


def test_between_slices_that_are_apart_it_is_interpolated():
    hu = np.arange(31, dtype=np.float32)[:, None, None] ** 2 * np.ones((1, 2, 2), np.float32)
    thick = thick_slices(hu, (1.0, 1.0, 1.0), 5.0, increment_mm=5.0, first=1.0)
    averaged = thick_slices(hu, (1.0, 1.0, 1.0), 5.0)
    np.testing.assert_allclose(thick[1:27:5], averaged[1:27:5], rtol=1e-5)
    np.testing.assert_allclose(thick[8, 0, 0], (3 * averaged[6, 0, 0] + 2 * averaged[11, 0, 0]) / 5, rtol=1e-5)
    assert thick.shape == hu.shape


# Field of view


def test_the_field_of_view_is_a_circle_in_mm():
    outside = outside_field((2, 100, 60), (3.0, 1.0, 2.0), np.array([50.0, 30.0]), 40.0)
    assert np.count_nonzero(~outside[0]) * 2.0 == pytest.approx(np.pi * 40**2, rel=0.03)
    np.testing.assert_array_equal(outside[0], outside[1])


# Samples


def a_patch():
    hu = blocks(-850, 160) + np.random.default_rng(0).normal(0, 5, (6, 48, 24)).astype(np.float32)
    mask = np.ones(hu.shape, bool)
    mask[:, :6] = False
    hu[~mask] = AIR_HU
    label = np.zeros(hu.shape, np.uint8)
    label[:, 20:40] = 1
    return Patch(hu.astype(np.float32), label, mask & (hu < -500), mask, SPACING)


@pytest.mark.parametrize("name", ["contrast", "exhalation", "kernel", "noise", "thick_slices", "truncation"])
def test_each_change_has_its_share_and_spares_the_air_around(name):
    config, changed = replace(NOTHING, **{name: 0.4}), 0
    for seed in range(60):
        patch, before = a_patch(), a_patch()
        rng = np.random.default_rng(seed)
        vary_patient(patch, config, rng)
        vary_scan(patch, config, rng, isolated=True)
        changed += not np.array_equal(patch.hu, before.hu)
        assert (patch.hu[~patch.mask] == AIR_HU).all()
        if name != "truncation":
            np.testing.assert_array_equal(patch.label, before.label)
            assert patch.hu[:, 6:20].mean() > -860, "no air is blurred into the mask"
    expected = 0.4 if name != "thick_slices" else 0.4 * 5 / 7  # the others are thinner than the grid's
    assert changed / 60 == pytest.approx(expected, abs=0.17)


def test_lesions_outside_the_field_of_view_do_not_count():
    cut = 0
    for seed in range(20):
        patch = a_patch()
        vary_scan(patch, replace(NOTHING, truncation=1.0), np.random.default_rng(seed), isolated=True)
        gone = (patch.hu == AIR_HU) & patch.mask
        assert (patch.label[gone & (a_patch().label > 0)] == IGNORED).all()
        assert (patch.label[gone & (a_patch().label == 0)] == 0).all()
        assert gone.mean() < 0.7
        cut += gone.any()
    assert cut == 20


def test_shares_of_none_draw_nothing():
    rng = np.random.default_rng(5)
    patch = a_patch()
    vary_patient(patch, NOTHING, rng)
    vary_scan(patch, NOTHING, rng, isolated=True)
    np.testing.assert_array_equal(patch.hu, a_patch().hu)
    assert rng.random() == np.random.default_rng(5).random()


def test_a_whole_ct_is_changed_outside_the_isolation_mask_too():
    patch = a_patch()
    patch.hu[~patch.mask] = 50.0
    vary_scan(patch, replace(NOTHING, noise=1.0), np.random.default_rng(0), isolated=False)
    assert patch.hu[~patch.mask].std() > 1


def test_no_air_from_outside_the_isolation_mask_is_blurred_into_it():
    mask = np.zeros((8, 40, 40), bool)
    mask[:2, 5:20, 5:20] = True
    for seed in range(200):
        hu = np.where(mask, 40.0, AIR_HU).astype(np.float32)
        patch = Patch(hu, np.zeros(hu.shape, np.uint8), mask, mask, (3.0, 1.5, 1.5))
        config = replace(NOTHING, kernel=1.0, thick_slices=1.0)
        vary_scan(patch, config, np.random.default_rng(seed), isolated=True)
        np.testing.assert_allclose(patch.hu[mask], 40.0, atol=0.01)
