"""Samples: labels are right, shares are kept, nothing leaks from where it must not."""

import numpy as np
import pytest
from LungTumorSegLib.training import sampling
from LungTumorSegLib.training.config import GridConfig
from LungTumorSegLib.training.places import Place
from LungTumorSegLib.training.sampling import Sampler, draw_corner
from LungTumorSegLib.training.sampling_config import SamplingConfig
from LungTumorSegLib.training.store import IGNORED
from training_cases import a_scan_and_a_phantom, a_stored_case

CROP = (4, 16, 24)
GRID = GridConfig(spacing_mm=(3.0, 1.5, 1.5))
PLAIN = SamplingConfig(crop=CROP, implants=0, lesions=0, lung=0, hard_sites=0, extra=0, augmentation="none")


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return a_scan_and_a_phantom(tmp_path_factory.mktemp("cases"))


def shares(**values):
    return SamplingConfig(**{**vars(PLAIN), **values})


def draw(sampler, count):
    return [sampler.draw(np.random.default_rng([7, i])) for i in range(count)]


@pytest.mark.parametrize(
    "config", [shares(implants=1), shares(lesions=1), shares(lung=1), shares(lung=1, augmentation="paper")]
)
def test_samples_have_the_crops_shape_range_and_labels(cases, config):
    for image, label in draw(Sampler(cases, [], GRID, config), 8):
        assert (image.shape, image.dtype, label.shape, label.dtype) == (CROP, np.float32, CROP, np.uint8)
        assert image.min() >= 0
        assert image.max() <= 1
        assert set(np.unique(label)) <= {0, 1, IGNORED}


def test_the_label_of_a_plain_sample_is_the_lesion_that_the_image_shows(cases, monkeypatch):
    """Lesions are 30 HU, lung -850 HU: in the lungs, label and image must agree voxel by voxel."""
    monkeypatch.setattr("LungTumorSegLib.training.sampling.DISTRACTOR_SHARE", 0.0)
    monkeypatch.setattr("LungTumorSegLib.training.sampling.gather", gather_lungs_only := LungsOnly())
    with_tumor = 0
    for image, label in draw(Sampler(cases[:1], [], GRID, shares(lesions=1)), 12):
        bright = image > 0.5
        np.testing.assert_array_equal(label > 0, bright)
        with_tumor += bool((label == 1).any())
    assert with_tumor == 12
    assert gather_lungs_only.used == 12


class LungsOnly:
    """``gather``, but what is not lung becomes air."""

    def __init__(self):
        from LungTumorSegLib.training.sampling import gather

        self._gather, self.used = gather, 0

    def __call__(self, *arguments):
        patch = self._gather(*arguments)
        patch.hu[~patch.lungs] = -1024
        self.used += 1
        return patch


def test_a_lesion_sample_shows_a_lesion_and_an_implant_sample_nearly_always(cases):
    for image, label in draw(Sampler(cases, [], GRID, shares(lesions=1)), 10):
        assert (label == 1).any()
        assert image.std() > 0
    found = [bool((label == 1).any()) for _, label in draw(Sampler(cases, [], GRID, shares(implants=1, large=0.0)), 30)]
    assert np.mean(found) > 0.8  # a lesion may lie beside the crop or on bone


def test_samples_from_lung_show_a_lesion_only_by_chance(cases):
    found = [bool((label == 1).any()) for _, label in draw(Sampler(cases, [], GRID, shares(lung=1)), 40)]
    assert 0 < np.mean(found) < 0.9


def test_any_sample_may_get_more_small_lesions_in_its_lung(cases):
    def volumes_ml(**values):
        drawn = draw(Sampler(cases[1:], [], GRID, shares(hard_sites=1, **values), [(0, 2, 8, 4)]), 40)
        return np.array([(label == 1).sum() * np.prod(GRID.spacing_mm) / 1000 for _, label in drawn])

    without, more = volumes_ml(), volumes_ml(extra=0.5)
    assert (more >= without).all()
    assert np.mean(more > without) > 0.2  # they may lie in the margin that is cut off


def test_the_cases_stay_as_they_are(cases):
    before = [(np.array(case.hu), np.array(case.label)) for case in cases]
    draw(Sampler(cases, [], GRID, shares(implants=1)), 10)
    for case, (hu, label) in zip(cases, before, strict=True):
        np.testing.assert_array_equal(case.hu, hu)
        np.testing.assert_array_equal(case.label, label)


def test_only_the_given_cases_are_looked_at(cases, tmp_path):
    """A case all of whose voxels have one odd value, beside a plain one: with one case given, the other never shows."""
    marked = a_stored_case(tmp_path / "marked", "two")
    marked.hu  # noqa: B018 (open it, then change the copy in memory)
    object.__setattr__(marked, "hu", np.full(marked.hu.shape, 1234, np.int16))
    high = GridConfig(window_hu=(1000.0, 1400.0))
    assert max(image.max() for image, _ in draw(Sampler(cases[:1], [], high, shares(lung=1)), 10)) < 0.01
    assert max(image.max() for image, _ in draw(Sampler([marked], [], high, shares(lung=1)), 2)) > 0.5


def test_a_sample_depends_on_its_generator_alone(cases):
    config = shares(implants=0.6, lesions=0.2, lung=0.2, augmentation="paper")
    one, other = Sampler(cases, [], GRID, config), Sampler(cases, [], GRID, config)
    draw(other, 3)  # what was drawn before must not matter
    for i in range(6):
        for a, b in zip(
            one.draw(np.random.default_rng([1, i])), other.draw(np.random.default_rng([1, i])), strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_stacks_stay_inside_the_case_however_large_the_lesion(cases):
    for i in range(40):
        rng = np.random.default_rng(i)
        place = Place(cases[0], np.array([rng.integers(14), 20.0, 24.0]))
        corner = draw_corner(place, (8, 16, 24), 60.0, GRID.spacing_mm, rng)
        assert 0 <= corner[0] <= 14 - 8


@pytest.fixture
def calls(monkeypatch):
    """What a sample implants: the names in order, instead of implanting."""
    made = []
    for name in ("implant_procedural", "implant_nodule", "implant_distractor"):
        monkeypatch.setattr(sampling, name, lambda *_, name=name: made.append(name.removeprefix("implant_")))
    monkeypatch.setattr(sampling, "choose_nodule", lambda *_: None)
    return made


def test_second_lesions_and_look_alikes_have_their_shares(cases, calls):
    draw(Sampler(cases, [], GRID, shares(implants=1, extra=0.15)), 600)
    assert calls.count("procedural") / 600 == pytest.approx(1.15, abs=0.04)
    assert calls.count("distractor") / 600 == pytest.approx(0.25, abs=0.05)


def test_each_further_small_lesion_brings_another_with_the_same_chance(cases, calls):
    draw(Sampler(cases[1:], [], GRID, shares(lung=1, extra=0.8)), 80)
    assert calls.count("procedural") / 80 == pytest.approx(0.8 / (1 - 0.8), abs=1.5)


def test_other_samples_get_no_lesion_but_look_alikes_too(cases, calls):
    draw(Sampler(cases, [object()], GRID, shares(lung=1)), 200)
    assert set(calls) == {"distractor"}


def test_real_nodules_have_their_share_of_the_implants(cases, calls):
    draw(Sampler(cases, [object()], GRID, shares(implants=1, real_nodules=0.3)), 600)
    lesions = [name for name in calls if name != "distractor"]
    assert lesions.count("nodule") / len(lesions) == pytest.approx(0.3, abs=0.05)
