"""Places of samples: kinds and backgrounds have their shares, and positions lie where their kind demands."""

from collections import Counter

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.training.places import MASSES, Places
from LungTumorSegLib.training.sampling_config import SamplingConfig
from LungTumorSegLib.training.walls import CHEST_WALL
from training_cases import a_scan_and_a_phantom

NONE = SamplingConfig(implants=0, lesions=0, lung=0, hard_sites=0)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return a_scan_and_a_phantom(tmp_path_factory.mktemp("cases"))


def shares(**values):
    return SamplingConfig(**{**vars(NONE), **values})


def kinds(places, count):
    return Counter(places.kind(np.random.default_rng(i)) for i in range(count))


def drawn(places, kind, count):
    rng = np.random.default_rng(2)
    return [places.draw(kind, rng) for _ in range(count)]


def test_kinds_and_backgrounds_have_their_shares(cases):
    places = Places(cases, shares(implants=0.5, lesions=0.2, lung=0.3))
    found = kinds(places, 2000)
    assert found["implants"] / 2000 == pytest.approx(0.5, abs=0.04)
    assert found["hard_sites"] == 0
    of_scans = sum(not place.case.is_phantom for place in drawn(places, "lung", 2000))
    assert of_scans / 2000 == pytest.approx(0.6, abs=0.04)  # real_backgrounds


def test_without_hard_sites_the_other_kinds_fill_in(cases):
    assert set(kinds(Places(cases, shares(hard_sites=1)), 60)) == {"implants", "lesions", "lung"}


def test_hard_sites_are_seen_in_their_case_and_place(cases):
    for place in drawn(Places(cases, shares(hard_sites=1), [(1, 6, 25, 35)]), "hard_sites", 20):
        assert place.case is cases[1]
        assert place.voxel.tolist() == [6, 25, 35]


def test_the_few_hard_sites_of_scans_are_not_drowned_by_those_of_phantoms(cases):
    sites = [(0, 6, 25, 35), *[(1, 6, 25, column) for column in range(20, 40)]]
    config = shares(hard_sites=1, real_backgrounds=0.7)
    of_scans = sum(not place.case.is_phantom for place in drawn(Places(cases, config, sites), "hard_sites", 400))
    assert of_scans / 400 == pytest.approx(0.7, abs=0.07)  # 3 standard deviations of the binomial
    assert drawn(Places(cases, config, sites[1:]), "hard_sites", 1)[0].case.is_phantom


def test_most_implants_sit_at_the_border_of_the_lung(cases):
    border = {tuple(site) for site in cases[0].sites["border"]}
    inner = {tuple(site) for site in cases[0].sites["lung"]} - border
    found = [tuple(place.voxel.astype(int)) for place in drawn(Places(cases[:1], NONE), "implants", 600)]
    from_lung = len(border & {tuple(site) for site in cases[0].sites["lung"]}) / len(cases[0].sites["lung"])
    assert sum(place in inner for place in found) / 600 == pytest.approx(0.45 * (1 - from_lung), abs=0.05)


def with_sites(case, monkeypatch, *kept):
    """Let a case have no positions but those with these names."""
    sites = {name: sites if name in kept else sites[:0] for name, sites in dict(case.sites).items()}
    monkeypatch.setattr(type(case), "sites", property(lambda self: sites))


def test_a_coarse_grid_without_border_sites_is_sampled_anywhere_in_the_lung(cases, monkeypatch):
    lung = {tuple(site) for site in cases[0].sites["lung"]}
    with_sites(cases[0], monkeypatch, "lung")
    assert {tuple(place.voxel.astype(int)) for place in drawn(Places(cases[:1], NONE), "implants", 20)} <= lung


def test_a_case_without_lung_sites_is_refused(cases, monkeypatch):
    with_sites(cases[0], monkeypatch)
    with pytest.raises(UnusableInput, match="no lung on a grid of this spacing"):
        drawn(Places(cases[:1], NONE), "implants", 1)


def test_masses_have_their_share_and_lie_at_all_walls_alike(cases):
    places = Places(cases[:1], shares(lung=1, masses=0.25))
    assert kinds(places, 600)[MASSES] / 600 == pytest.approx(0.25, abs=0.06)
    found = Counter(place.wall for place in drawn(places, MASSES, 90))
    clear = {wall for wall, sites in cases[0].walls.items() if len(sites)}
    assert set(found) == clear
    assert len(clear) >= 2
    assert min(found.values()) > 90 / len(clear) / 2


def test_a_case_without_clear_walls_has_its_masses_anywhere(cases, monkeypatch):
    monkeypatch.setattr(type(cases[0]), "walls", property(lambda self: {CHEST_WALL: np.zeros((0, 3), int)}))
    (place,) = drawn(Places(cases[:1], NONE), MASSES, 1)
    assert (place.case, place.wall) == (cases[0], "")
