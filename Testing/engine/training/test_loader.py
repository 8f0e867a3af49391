"""Batches: the same ones whoever makes them and wherever one begins."""

import pytest
import torch
from LungTumorSegLib.training.config import GridConfig
from LungTumorSegLib.training.loader import SampleDataset, _report_of_thread, batches
from LungTumorSegLib.training.sampling import Sampler
from LungTumorSegLib.training.sampling_config import SamplingConfig
from training_cases import a_stored_case

CONFIG = SamplingConfig(crop=(4, 16, 16), augmentation="none")


@pytest.fixture(scope="module")
def sampler(tmp_path_factory):
    return Sampler([a_stored_case(tmp_path_factory.mktemp("cases") / "scan")], [], GridConfig(), CONFIG)


def all_of(dataset, first, last, workers=0):
    return [
        torch.cat([image, label.float()]) for image, label in batches(dataset, first, last, batch=2, workers=workers)
    ]


def test_batches_are_numbered_and_shaped(sampler):
    found = list(batches(SampleDataset(sampler, 1, 1), 0, 3, batch=2, workers=0))
    assert len(found) == 3
    image, label = found[0]
    assert (image.shape, image.dtype, label.dtype) == ((2, 4, 16, 16), torch.float32, torch.uint8)


def test_a_resumed_run_gets_the_batches_it_would_have_got(sampler):
    dataset = SampleDataset(sampler, 1, 1)
    whole, rest = all_of(dataset, 0, 4), all_of(dataset, 2, 4)
    for a, b in zip(whole[2:], rest, strict=True):
        assert torch.equal(a, b)


def test_the_number_of_workers_does_not_matter(sampler):
    dataset = SampleDataset(sampler, 1, 1)
    for a, b in zip(all_of(dataset, 0, 2), all_of(dataset, 0, 2, workers=2), strict=True):
        assert torch.equal(a, b)


def test_seeds_stages_and_numbers_give_different_samples(sampler):
    drawn = [
        SampleDataset(sampler, seed, stage)[number][0]
        for seed, stage, number in ((1, 1, 0), (2, 1, 0), (1, 2, 0), (1, 1, 1))
    ]
    assert all(not torch.equal(drawn[0], other) for other in drawn[1:])


def test_no_batches_are_no_error(sampler):
    assert all_of(SampleDataset(sampler, 1, 1), 3, 3) == []


@pytest.mark.parametrize(("error", "reported"), [(EOFError(), False), (BrokenPipeError(), False), (KeyError(3), True)])
def test_a_transfer_that_a_cancelled_training_breaks_off_is_not_reported(error, reported, capsys):
    _report_of_thread(type(error), error, None)
    assert ("Error" in capsys.readouterr().err) == reported
