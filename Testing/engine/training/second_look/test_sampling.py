"""A sample shows the place that it is about, and its mask is the lesion there."""

from dataclasses import replace

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.training.second_look.backgrounds import find_false_positives
from LungTumorSegLib.training.second_look.config import LookSamplingConfig
from LungTumorSegLib.training.second_look.sampling import OWN, UNKNOWN, Sampler
from LungTumorSegLib.training.store import IGNORED

KINDS = ("implants", "lesions", "false_positives", "anywhere")


def a_sampler(backgrounds, kind, nodules=(), **values):
    """Return a sampler that draws one kind only."""
    shares = {name: float(name == kind) for name in KINDS}
    return Sampler(backgrounds, nodules, LookSamplingConfig(**shares | values))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_has_the_shapes_of_the_network_and_a_mask_only_if_it_is_a_lesion(backgrounds, nodule, kind):
    sampler = a_sampler(backgrounds, kind, [nodule])
    for seed in range(3):
        sample = sampler.draw(np.random.default_rng(seed))
        assert sample.fine.shape == sample.mask.shape == (40, 40, 40)
        assert sample.coarse.shape == (2, 32, 32, 32)
        assert (sample.fine.dtype, sample.coarse.dtype, sample.mask.dtype) == (np.int16, np.int16, np.uint8)
        assert np.log2(28 / 64) <= sample.octaves <= np.log2(144 / 64)
        assert sample.tumor == (kind in ("implants", "lesions"))
        assert (sample.mask == OWN).any() == bool(sample.tumor)
        assert sample.source in ("hospital", "phantom")


@pytest.mark.parametrize("kind", ["implants", "lesions"])
def test_the_center_of_a_sample_lies_in_its_lesion(backgrounds, nodule, kind):
    sampler = a_sampler(backgrounds, kind, [nodule], small=0.0)
    hits = []
    for seed in range(12):
        mask = sampler.draw(np.random.default_rng(seed)).mask
        hits.append((mask[19:21, 19:21, 19:21] == OWN).any())
    assert np.mean(hits) > 0.9  # interpolation moves the outline of a small lesion by a part of its coarse voxels


def test_equal_seeds_give_equal_samples(backgrounds, nodule):
    sampler = Sampler(backgrounds, [nodule], LookSamplingConfig())
    one, other = (sampler.draw(np.random.default_rng(5)) for _ in range(2))
    for name in ("fine", "coarse", "mask"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_the_share_of_real_backgrounds_is_kept(backgrounds, nodule):
    sampler = a_sampler(backgrounds, "lesions", real_backgrounds=1.0)
    assert {sampler.draw(np.random.default_rng(seed)).source for seed in range(4)} == {"hospital"}


def test_no_suspicion_at_a_lesion_is_a_false_positive(cases):
    scan = cases[0].scan
    for found in find_false_positives(scan):
        index = np.rint(scan.volume("label").lps_to_index(found.center)).astype(int)
        assert scan.probability[tuple(index)] > 0.3
        assert scan.label[tuple(index)] == 0
    everywhere = replace(scan, label=np.ones_like(scan.label))
    assert find_false_positives(everywhere) == []


def test_a_place_among_ignored_voxels_is_unknown(backgrounds):
    background = backgrounds[0]
    label = background.levels[0].label
    before = label.copy()
    try:
        for level in background.levels:
            level.label[:] = IGNORED
        sample = a_sampler([background], "anywhere").draw(np.random.default_rng(1))
    finally:
        for level in background.levels[1:]:
            level.label[:] = 0
        label[:] = before
    assert sample.tumor == UNKNOWN
    assert not (sample.mask == OWN).any()


def test_a_sampler_without_anything_to_draw_says_so(backgrounds):
    for background in backgrounds:
        assert background.lesions
    with pytest.raises(UnusableInput, match="nothing to draw"):
        a_sampler([], "lesions")
