"""Places at the walls of the lungs, and the masses there."""

import numpy as np
import pytest
from LungTumorSegLib.training import sampling
from LungTumorSegLib.training.config import GridConfig
from LungTumorSegLib.training.implants import Patch, implant_collapse
from LungTumorSegLib.training.sampling import Sampler
from LungTumorSegLib.training.sampling_config import SamplingConfig
from LungTumorSegLib.training.walls import CHEST_WALL, DIAPHRAGM, MEDIASTINUM, wall_sites
from training_cases import a_stored_case

SPACING = (3.0, 1.5, 1.5)
GRID = GridConfig(spacing_mm=SPACING)


def two_lungs():
    """Two boxes, 30 slices high, at columns 5 to 24 and 35 to 54, rows 5 to 44."""
    lungs = np.zeros((34, 50, 60), bool)
    lungs[2:32, 5:45, 5:25], lungs[2:32, 5:45, 35:55] = True, True
    return lungs


@pytest.mark.parametrize(
    ("site", "wall"),
    [
        ((2, 25, 15), DIAPHRAGM),
        ((2, 25, 45), DIAPHRAGM),
        ((16, 25, 24), MEDIASTINUM),
        ((16, 25, 35), MEDIASTINUM),
        ((16, 25, 5), CHEST_WALL),
        ((16, 25, 54), CHEST_WALL),
        ((16, 5, 15), CHEST_WALL),
        ((16, 44, 45), CHEST_WALL),
        ((31, 25, 15), None),
    ],
)
def test_the_wall_is_the_one_on_the_shortest_way_out(site, wall):
    walls = wall_sites(two_lungs(), np.array([site]), SPACING)
    assert {name: len(sites) for name, sites in walls.items()} == {
        name: int(name == wall) for name in (DIAPHRAGM, MEDIASTINUM, CHEST_WALL)
    }


def test_without_sites_there_are_no_walls():
    assert all(not len(sites) for sites in wall_sites(two_lungs(), np.zeros((0, 3), int), SPACING).values())


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return a_stored_case(tmp_path_factory.mktemp("cases") / "one", "one")


def test_masses_have_their_size_and_half_of_them_atelectasis_behind(case, monkeypatch):
    radii_mm, collapsed = [], []
    monkeypatch.setattr(
        sampling, "implant_procedural", lambda patch, center, radius_mm, rng: radii_mm.append(radius_mm)
    )
    monkeypatch.setattr(sampling, "implant_collapse", lambda *each: collapsed.append(each[3]))
    config = SamplingConfig((8, 16, 16), extra=0, masses=1.0, augmentation="none")
    sampler = Sampler([case], [], GRID, config)
    for seed in range(60):
        sampler.draw(np.random.default_rng(seed))
    assert len(radii_mm) == 60
    assert 20 <= min(radii_mm) < 30
    assert 50 < max(radii_mm) <= 60
    assert len(collapsed) / 60 == pytest.approx(0.5, abs=0.22)


def test_most_samples_of_a_mass_show_it(case):
    config = SamplingConfig((8, 16, 16), extra=0, masses=1.0, augmentation="none")
    sampler = Sampler([case], [], GRID, config)
    shares = [(sampler.draw(np.random.default_rng(seed))[1] == 1).mean() for seed in range(20)]
    assert np.mean(np.array(shares) > 0.05) > 0.7


def test_atelectasis_lies_behind_the_mass_within_its_reach_and_is_no_tumor():
    shape = (20, 60, 60)
    hu = np.full(shape, -850, np.float32)
    patch = Patch(hu, np.zeros(shape, np.uint8), np.ones(shape, bool), np.ones(shape, bool), SPACING)
    center, behind = np.array([10.0, 30.0, 30.0]), np.array([0.0, 1.0, 0.0])
    implant_collapse(patch, center, behind, 12.0, np.random.default_rng(1))
    dense = np.argwhere(patch.hu > -200)
    away = (dense - center) * SPACING
    assert len(dense)
    assert np.linalg.norm(away, axis=1).max() < 2.5 * 12 + 3
    assert away[:, 1].mean() > 5
    assert not patch.label.any()
