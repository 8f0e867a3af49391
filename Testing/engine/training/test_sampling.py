"""Samples: labels are right, shares are kept, nothing leaks from where it must not."""

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.training import sampling
from LungTumorSegLib.training.config import GridConfig
from LungTumorSegLib.training.sampling import Sampler
from LungTumorSegLib.training.sampling_config import SamplingConfig
from LungTumorSegLib.training.store import IGNORED
from training_cases import a_stored_case

CROP = (4, 16, 24)
GRID = GridConfig(spacing_mm=(3.0, 1.5, 1.5))
PLAIN = SamplingConfig(crop=CROP, implants=0, lesions=0, lung=0, hard_sites=0, extra=0, augmentation="none")


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    return [
        a_stored_case(folder / "scan", "one"),
        a_stored_case(folder / "phantom", "phantom-1", is_phantom=True, seed=1),
    ]


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


def test_any_sample_may_get_more_small_lesions_in_its_lung(cases, monkeypatch):
    def volumes_ml(**values):
        drawn = draw(Sampler(cases[1:], [], GRID, shares(hard_sites=1, **values), [(0, 2, 8, 4)]), 40)
        return np.array([(label == 1).sum() * np.prod(GRID.spacing_mm) / 1000 for _, label in drawn])

    without, more = volumes_ml(), volumes_ml(extra=0.5)
    assert (more >= without).all()
    assert np.mean(more > without) > 0.2  # they may lie in the margin that is cut off
    added = []
    monkeypatch.setattr(Sampler, "_implant_small", lambda self, patch, rng: added.append(patch))
    draw(Sampler(cases[1:], [], GRID, shares(lung=1, extra=0.8)), 80)
    assert len(added) / 80 == pytest.approx(0.8 / (1 - 0.8), abs=1.5), "each with the same chance brings another"


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


def test_shares_and_backgrounds_are_kept(cases):
    sampler = Sampler(cases, [], GRID, shares(implants=0.5, lesions=0.2, lung=0.3), hard_sites=())
    kinds = [sampler._kind(np.random.default_rng(i)) for i in range(2000)]
    assert kinds.count("implants") / 2000 == pytest.approx(0.5, abs=0.04)
    assert kinds.count("hard_sites") == 0
    backgrounds = [sampler._background(np.random.default_rng(i)) for i in range(2000)]
    assert backgrounds.count(0) / 2000 == pytest.approx(0.6, abs=0.04)  # real_backgrounds; case 0 is the CT


def test_without_hard_sites_the_other_shares_fill_in(cases):
    sampler = Sampler(cases, [], GRID, shares(hard_sites=1))
    assert {sampler._kind(np.random.default_rng(i)) for i in range(60)} == {"implants", "lesions", "lung"}


def test_hard_sites_are_seen_in_their_case_and_place(cases):
    sampler = Sampler(cases, [], GRID, shares(hard_sites=1), hard_sites=[(1, 6, 25, 35)])
    for i in range(20):
        case, place = sampler._place("hard_sites", np.random.default_rng(i))
        assert case is cases[1]
        assert place.tolist() == [6, 25, 35]
    image, label = sampler.draw(np.random.default_rng(3))
    assert image.any()
    assert label.shape == CROP


def test_the_few_hard_sites_of_scans_are_not_drowned_by_those_of_phantoms(cases):
    sites = [(0, 6, 25, 35), *[(1, 6, 25, column) for column in range(20, 40)]]
    sampler = Sampler(cases, [], GRID, shares(hard_sites=1, real_backgrounds=0.7), hard_sites=sites)
    rng = np.random.default_rng(2)
    scans = sum(not sampler._place("hard_sites", rng)[0].is_phantom for _ in range(400))
    assert scans / 400 == pytest.approx(0.7, abs=0.07)  # 3 standard deviations of the binomial
    only_phantoms = Sampler(cases, [], GRID, shares(hard_sites=1, real_backgrounds=0.7), hard_sites=sites[1:])
    assert only_phantoms._place("hard_sites", rng)[0].is_phantom


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
    sampler = Sampler(cases, [], GRID, shares(implants=1))
    for i in range(40):
        rng = np.random.default_rng(i)
        corner = sampler._corner(cases[0], np.array([rng.integers(14), 20.0, 24.0]), np.array([8, 40, 48]), 60.0, rng)
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


def test_other_samples_get_no_lesion_but_look_alikes_too(cases, calls):
    draw(Sampler(cases, [object()], GRID, shares(lung=1)), 200)
    assert set(calls) == {"distractor"}


def test_real_nodules_have_their_share_of_the_implants(cases, calls):
    draw(Sampler(cases, [object()], GRID, shares(implants=1, real_nodules=0.3)), 600)
    lesions = [name for name in calls if name != "distractor"]
    assert lesions.count("nodule") / len(lesions) == pytest.approx(0.3, abs=0.05)


def test_most_implants_sit_at_the_border_of_the_lung(cases):
    sampler = Sampler(cases[:1], [], GRID, SamplingConfig(crop=CROP))
    border = {tuple(site) for site in cases[0].sites["border"]}
    inner = {tuple(site) for site in cases[0].sites["lung"]} - border
    places = [tuple(sampler._place("implants", np.random.default_rng(i))[1].astype(int)) for i in range(600)]
    from_lung = len(border & {tuple(site) for site in cases[0].sites["lung"]}) / len(cases[0].sites["lung"])
    assert sum(place in inner for place in places) / 600 == pytest.approx(0.45 * (1 - from_lung), abs=0.05)


@pytest.mark.parametrize("kept", [("lung",), ()])
def test_a_coarse_grid_without_border_sites_is_sampled_anywhere_in_the_lung_or_refused(cases, monkeypatch, kept):
    everything = dict(cases[0].sites)
    nothing = np.zeros((0, 3), int)
    sites = {name: values if name in kept else nothing for name, values in everything.items()}
    monkeypatch.setattr(type(cases[0]), "sites", property(lambda self: sites))
    monkeypatch.setattr(sampling, "BORDER_SHARE", 1.0)
    sampler = Sampler(cases[:1], [], GRID, shares(implants=1))
    if kept:
        assert len(draw(sampler, 2)) == 2
    else:
        with pytest.raises(UnusableInput, match="no lung on a grid of this spacing"):
            draw(sampler, 1)
