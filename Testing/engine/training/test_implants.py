"""Implanted lesions: where they lie, how large they are, what they leave alone."""

import numpy as np
import pytest
from LungTumorSegLib.training import implant_shapes, implants
from LungTumorSegLib.training.implants import (
    BONE_HU,
    LESION,
    SPILL_MM,
    Nodule,
    Patch,
    choose_nodule,
    draw_radius_mm,
    implant_distractor,
    implant_nodule,
    implant_procedural,
)
from scipy import ndimage
from training_cases import ellipsoid

SPACING_MM = (3.0, 1.4, 1.7)
SHAPE = (28, 60, 54)
CENTER = np.array([13.0, 31.0, 25.0])


def a_patch():
    """A lung that fills the patch but for a wall of soft tissue (outside the isolation mask below row 4) with a rib
    in it."""
    hu = np.full(SHAPE, -850, np.float32)
    lungs, mask = np.ones(SHAPE, bool), np.ones(SHAPE, bool)
    hu[:, :14], lungs[:, :14] = 40, False
    hu[:, 8:11, 20:34] = 500
    mask[:, :4] = False
    return Patch(hu, np.zeros(SHAPE, np.uint8), lungs, mask, SPACING_MM)


def a_nodule(radius_mm=6.0, patient="p"):
    """A ball of soft tissue whose HU grow along the columns."""
    shape, spacing = (13, 21, 25), (2.0, 1.0, 0.9)
    mask = ellipsoid((12, 10, 10.8), (radius_mm,) * 3, shape, spacing)
    hu = np.where(mask, 20, -800).astype(np.int16) + np.arange(25, dtype=np.int16)
    return Nodule.from_mask(patient, hu, mask, spacing)


def volume_ml(patch):
    return np.count_nonzero(patch.label == LESION) * np.prod(SPACING_MM) / 1000


def ball_ml(radius_mm):
    return 4 / 3 * np.pi * radius_mm**3 / 1000


@pytest.mark.parametrize("radius_mm", [5.0, 10.0, 16.0])
def test_a_procedural_lesion_has_about_the_wanted_volume(radius_mm):
    volumes = []
    for seed in range(12):
        patch = a_patch()
        implant_procedural(patch, CENTER, radius_mm, np.random.default_rng(seed))
        volumes.append(volume_ml(patch))
    # Axes are stretched by 0.75 to 1.3 each, bumps and spicules come on top.
    assert np.median(volumes) == pytest.approx(ball_ml(radius_mm), rel=0.35)
    assert min(volumes) > 0.3 * ball_ml(radius_mm)
    assert max(volumes) < 3 * ball_ml(radius_mm)


@pytest.mark.parametrize("radius_mm", [5.0, 6.0, 12.0, 18.0])
def test_a_real_nodule_is_scaled_to_the_wanted_volume(radius_mm):
    for seed in range(4):
        patch = a_patch()
        implant_nodule(patch, a_nodule(), CENTER, radius_mm, np.random.default_rng(seed))
        assert volume_ml(patch) == pytest.approx(ball_ml(radius_mm), rel=0.12)  # voxels of 7 mm3


def test_a_real_nodule_is_not_scaled_beyond_its_limits():
    patch = a_patch()
    implant_nodule(patch, a_nodule(3.0), CENTER, 40.0, np.random.default_rng(0))
    assert volume_ml(patch) == pytest.approx(
        ball_ml(3.0 * 5), rel=0.3
    )  # a ball of 3 to 7 voxels across becomes 5 times as large


def test_a_lesion_lies_where_it_was_put():
    for implant in (implant_procedural, lambda p, c, r, rng: implant_nodule(p, a_nodule(), c, r, rng)):
        patch = a_patch()
        implant(patch, CENTER, 12.0, np.random.default_rng(3))
        center = np.argwhere(patch.label == LESION).mean(axis=0)
        np.testing.assert_allclose((center - CENTER) * SPACING_MM, 0, atol=3.0)


@pytest.mark.parametrize("seed", range(10))
def test_lesions_and_distractors_leave_bone_and_what_isolation_hides(seed):
    for implant in (
        lambda p, rng: implant_procedural(p, np.array([13.0, 12.0, 26.0]), 18.0, rng),
        lambda p, rng: implant_nodule(p, a_nodule(), np.array([13.0, 12.0, 26.0]), 18.0, rng),
        lambda p, rng: implant_distractor(p, np.array([13.0, 12.0, 26.0]), rng),
    ):
        patch, before = a_patch(), a_patch()
        implant(patch, np.random.default_rng(seed))
        for kept in (before.hu >= BONE_HU, ~before.mask):
            np.testing.assert_array_equal(patch.hu[kept], before.hu[kept])
            assert not patch.label[kept].any()


def test_small_lesions_hardly_leave_the_lung():
    """At the pleura 8 in 100 may; the others reach 2 mm into it at most."""
    beyond = 0
    for seed in range(60):
        patch = a_patch()
        implant_procedural(patch, np.array([13.0, 15.0, 25.0]), 9.0, np.random.default_rng(seed))
        steps = [2 * max(1, round(SPILL_MM / s)) + 1 for s in SPACING_MM]
        near = ndimage.maximum_filter(patch.lungs, size=steps)
        beyond += bool((patch.label[~near] == LESION).any())
    assert 0 < beyond < 15


def test_a_lesion_whose_center_lies_off_the_patch_still_reaches_in():
    patch = a_patch()
    implant_procedural(patch, np.array([13.0, 70.0, 25.0]), 30.0, np.random.default_rng(1))
    assert (patch.label[:, -8:] == LESION).any()
    patch = a_patch()
    implant_nodule(patch, a_nodule(), np.array([13.0, 70.0, 25.0]), 30.0, np.random.default_rng(1))
    assert (patch.label[:, -3:] == LESION).any()


def test_a_lesion_far_off_changes_nothing():
    for implant in (implant_procedural, lambda p, c, r, rng: implant_nodule(p, a_nodule(), c, r, rng)):
        patch = a_patch()
        implant(patch, np.array([400.0, 31.0, 25.0]), 10.0, np.random.default_rng(0))
        np.testing.assert_array_equal(patch.hu, a_patch().hu)
        assert not patch.label.any()


def test_tumor_is_where_the_image_changed():
    patch = a_patch()
    implant_nodule(patch, a_nodule(), CENTER, 12.0, np.random.default_rng(5))
    inside = ndimage.binary_erosion(patch.label == LESION)
    assert (patch.hu[inside] > -200).all()
    assert (patch.hu[~ndimage.binary_dilation(patch.label == LESION, iterations=3)] <= a_patch().hu.max()).all()


def test_distractors_are_no_tumor():
    changed = 0
    for seed in range(12):
        patch = a_patch()
        implant_distractor(patch, CENTER, np.random.default_rng(seed))
        assert not patch.label.any()
        changed += not np.array_equal(patch.hu, a_patch().hu)
    assert changed == 12


def test_the_same_random_generator_makes_the_same_lesion():
    first, second = a_patch(), a_patch()
    for patch in (first, second):
        implant_procedural(patch, CENTER, 14.0, np.random.default_rng(9))
    np.testing.assert_array_equal(first.hu, second.hu)


def test_radii_are_log_uniform_but_for_the_large_share():
    rng = np.random.default_rng(0)
    radii = np.array([draw_radius_mm(rng, 0.22) for _ in range(4000)])
    assert radii.min() >= 3
    assert radii.max() <= 60
    assert np.mean(radii > 28) == pytest.approx(0.22, abs=0.02)
    small = radii[radii <= 28]
    assert np.mean(small < np.sqrt(3 * 28)) == pytest.approx(0.5, abs=0.03)


def test_small_radii_come_in_their_share():
    rng = np.random.default_rng(0)
    radii = np.array([draw_radius_mm(rng, 0.2, 0.5) for _ in range(4000)])
    among_the_rest = 0.3 * np.log(8 / 3) / np.log(28 / 3)
    assert np.mean(radii < 8) == pytest.approx(0.5 + among_the_rest, abs=0.02)
    assert np.mean(radii > 28) == pytest.approx(0.2, abs=0.02)
    assert radii.min() >= 3


def test_a_nodule_of_similar_size_is_preferred():
    nodules = [a_nodule(radius) for radius in (3.0, 5.0, 8.0)]
    rng = np.random.default_rng(0)
    chosen = [choose_nodule(nodules, 8.0, rng).radius_mm for _ in range(300)]
    assert np.mean(np.array(chosen) > 7) == pytest.approx(
        1 - (2 / 3) ** 3, abs=0.08
    )  # unless it is not among the three drawn


def test_faint_nodules_are_drawn_more_often_than_they_are():
    solid, faint = a_nodule(), a_nodule()
    faint = Nodule(faint.patient, (faint.hu - 600).astype(np.int16), faint.depth_mm, faint.spacing_mm, faint.radius_mm)
    assert (round(solid.mean_hu), round(faint.mean_hu)) == (32, -568)
    rng = np.random.default_rng(0)
    chosen = [choose_nodule([faint] + 9 * [solid], 6.0, rng) is faint for _ in range(600)]
    at_random = 1 / 10  # all are of one size: the first of the three is taken
    assert np.mean(chosen) == pytest.approx(0.4 + 0.6 * at_random, abs=0.06)


# Kinds of lesions, each made certain by its share


def kinds(monkeypatch, **shares):
    """Sets the shares of kinds of lesions; those not given are 0."""
    names = ("ground_glass", "part_solid", "cavity", "spicule")
    for name in names:
        home = implant_shapes if name == "spicule" else implants
        monkeypatch.setattr(home, f"{name.upper()}_SHARE", shares.get(name, 0.0))


def implanted(radius_mm, seed, patch=None):
    patch = patch or a_patch()
    implant_procedural(patch, CENTER, radius_mm, np.random.default_rng(seed))
    return patch, ndimage.distance_transform_edt(patch.label == LESION, sampling=SPACING_MM)


def test_ground_glass_has_its_share_at_any_size():
    for radius_mm in (4.0, 12.0):
        medians = [
            np.median(patch.hu[depth > 2]) for patch, depth in (implanted(radius_mm, seed) for seed in range(50))
        ]
        # part-solid ones have a core of soft tissue, so that few of them come near
        assert np.mean((np.array(medians) > -740) & (np.array(medians) < -400)) == pytest.approx(
            0.3 * 0.9 + 0.05, abs=0.12
        )


@pytest.mark.parametrize("lung_hu", [-900.0, -650.0])
def test_ground_glass_is_a_little_brighter_than_the_lung_around_it(monkeypatch, lung_hu):
    kinds(monkeypatch, ground_glass=1.0)
    for seed in range(10):
        patch = a_patch()
        patch.hu[patch.lungs] = lung_hu
        implant_procedural(patch, CENTER, 12.0, np.random.default_rng(seed))
        inside = ndimage.binary_erosion(patch.label == LESION)
        assert 50 < patch.hu[inside].mean() - lung_hu < 470


def test_vessels_stay_visible_in_ground_glass(monkeypatch):
    kinds(monkeypatch, ground_glass=1.0)
    patch = a_patch()
    patch.hu[:, 30:32, 24:26] = 100
    before = patch.hu.copy()
    patch, depth = implanted(10.0, 4, patch)
    vessel = (before == 100) & (depth > 0)
    assert vessel.any()
    assert (patch.hu[vessel] >= 100).all()
    assert -760 < np.median(patch.hu[(depth > 2) & ~vessel]) < -400


def test_a_part_solid_lesion_has_a_dense_core_in_ground_glass(monkeypatch):
    kinds(monkeypatch, part_solid=1.0)
    steps = []
    for seed in range(8):
        patch, depth = implanted(14.0, seed)
        steps.append(patch.hu[depth > 0.8 * depth.max()].mean() - patch.hu[(depth > 1.5) & (depth < 4)].mean())
    assert min(steps) > 250  # the halo is 350 to 650 HU thinner; core and rim need not lie quite like the depth


def test_only_lesions_beyond_12_mm_are_hollow(monkeypatch):
    kinds(monkeypatch, cavity=1.0)

    def hollow(radius_mm):
        found = [
            (patch.hu[depth > 4] < -700).any() for patch, depth in (implanted(radius_mm, seed) for seed in range(20))
        ]
        return np.mean(found)

    assert hollow(10.0) == 0
    assert hollow(18.0) == pytest.approx(0.6, abs=0.3)  # the others hold dead tissue, a little thinner
    kinds(monkeypatch)
    assert hollow(18.0) == 0


def test_spicules_reach_beyond_the_lesion(monkeypatch):
    def reach(share):
        kinds(monkeypatch, spicule=share)
        ratios = []
        for seed in range(16):
            patch, _ = implanted(10.0, seed)
            points = (np.argwhere(patch.label == LESION) - CENTER) * SPACING_MM
            ratios.append(np.linalg.norm(points, axis=1).max() / (volume_ml(patch) / ball_ml(1.0)) ** (1 / 3))
        return np.mean(ratios)

    assert reach(1.0) > reach(0.0) + 0.1


def test_the_edge_of_a_lesion_is_as_soft_as_a_scanner_makes_it(monkeypatch):
    kinds(monkeypatch)
    patch, depth = implanted(12.0, 2)
    outside = ndimage.distance_transform_edt(patch.label != LESION, sampling=SPACING_MM)
    between = (patch.hu > -650) & (patch.hu < -250) & patch.lungs
    assert np.count_nonzero(between) > 100
    assert np.maximum(depth, outside)[between].max() <= 4.5  # the longest way across a voxel


# Real nodules


def nodule_of(hu=0):
    """A ball of one density."""
    shape, spacing = (13, 21, 25), (2.0, 1.0, 0.9)
    mask = ellipsoid((12, 10, 10.8), (7.0,) * 3, shape, spacing)
    return Nodule.from_mask("p", np.where(mask, hu, -800).astype(np.int16), mask, spacing)


def inside(radius_mm, seed, hu=0, **options):
    """HU well inside an implanted ball of ``hu``."""
    patch = a_patch()
    implant_nodule(patch, nodule_of(hu), CENTER, radius_mm, np.random.default_rng(seed), **options)
    return patch.hu[ndimage.distance_transform_edt(patch.label == LESION, sampling=SPACING_MM) > 4]


def test_half_of_the_real_nodules_become_denser():
    added = np.array([inside(7.0, seed).mean() for seed in range(60)])
    assert added.min() >= -1
    assert added.max() <= 200
    assert np.mean(added > 1) == pytest.approx(0.5, abs=0.2)
    assert np.abs([inside(7.0, seed, vary_density=False).mean() for seed in range(10)]).max() < 1
    assert {round(float(inside(7.0, seed, hu=-600).mean())) for seed in range(20)} == {-600}, (
        "faint ones would no longer be faint"
    )


def test_an_enlarged_nodule_gets_the_noise_back_that_enlarging_took():
    assert inside(7.0, 0, vary_density=False).std() < 1
    assert inside(14.0, 0, vary_density=False).std() == pytest.approx(15, rel=0.15)


def test_every_distractor_is_denser_than_the_lung_around_it():
    for seed in range(30):
        patch = a_patch()
        implant_distractor(patch, CENTER, np.random.default_rng(seed))
        changed = (patch.hu != a_patch().hu) & patch.lungs
        assert changed.any()
        assert np.percentile(patch.hu[changed], 90) > -250
