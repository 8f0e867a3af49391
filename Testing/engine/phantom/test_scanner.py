"""Grid, blur, noise and circle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LungTumorSegLib.core.volume import AIR_HU
from LungTumorSegLib.phantom.options import PhantomOptions
from LungTumorSegLib.phantom.patient import draw_patient
from LungTumorSegLib.phantom.scanner import place_grid, scan

OPTIONS = PhantomOptions(noise_hu=20, circle=False)


def test_a_default_scanner_has_the_usual_spacings():
    for seed in range(8):
        grid = place_grid(seed, draw_patient(seed, PhantomOptions()), PhantomOptions())
        assert 2.5 <= grid.spacing[0] <= 3.0
        assert 1.0 <= grid.spacing[1] == pytest.approx(grid.spacing[2])
        assert grid.spacing[1] <= 1.4


def test_field_of_view_and_height_are_as_asked():
    options = PhantomOptions(spacing_mm=(4.0, 2.0, 1.5), field_of_view_mm=300.0, height_mm=(-100.0, 60.0))
    grid = place_grid(3, draw_patient(3, options), options)
    assert grid.shape == (40, 150, 200)
    z = grid.index_to_lps([(0, 0, 0), (39, 0, 0)])[:, 2]
    assert z == pytest.approx([-98, 58])


def test_the_noise_has_its_standard_deviation_and_no_bias():
    patient = draw_patient(1, OPTIONS)
    image = scan(np.full((12, 90, 80), 40, np.float32), (3.0, 1.0, 1.2), patient, np.random.default_rng(0))
    assert image.dtype == np.int16
    assert image.std() == pytest.approx(20, rel=0.02)
    assert image.mean() == pytest.approx(40, abs=0.5)


def test_a_sharper_kernel_has_finer_grain():
    grains = []
    for sharpness_mm in (0.3, 1.5):
        patient = replace(draw_patient(1, OPTIONS), sharpness_mm=sharpness_mm)
        image = scan(np.full((8, 90, 80), 40, np.float32), (3.0, 1.0, 1.0), patient, np.random.default_rng(0)).astype(
            float
        )
        grains.append(np.corrcoef(image[:, :, 1:].ravel(), image[:, :, :-1].ravel())[0, 1])
    assert grains[0] < 0.2 < 0.7 < grains[1]


def test_the_blur_keeps_the_mean_and_widens_an_edge():
    patient = replace(draw_patient(1, OPTIONS), noise_hu=0.0, sharpness_mm=1.5)
    hu = np.zeros((6, 50, 60), np.float32)
    hu[:, :, 30:] = 1000
    image = scan(hu, (3.0, 1.0, 1.0), patient, np.random.default_rng(0))
    assert (image[:, :, 29] + image[:, :, 30] == 1000).all()
    assert 250 < image[3, 25, 29] < 450  # erf of half a voxel over 1.5 voxels: 369


def test_outside_the_circle_stands_air():
    patient = replace(draw_patient(1, OPTIONS), circle=True)
    image = scan(np.full((4, 50, 40), 40, np.float32), (3.0, 1.0, 1.2), patient, np.random.default_rng(0))
    assert (image[:, 0, 0] == AIR_HU).all()
    assert (image[:, 25, 20] > -200).all()
    assert (image != AIR_HU).mean() == pytest.approx(np.pi / 4, abs=0.03)


def test_nothing_falls_below_air():
    patient = draw_patient(1, OPTIONS)
    image = scan(np.full((4, 50, 40), -1000, np.float32), (3.0, 1.0, 1.2), patient, np.random.default_rng(0))
    assert image.min() == AIR_HU
