"""The fast prediction gives what the plain one gives: every stack alone, whole network, mean over the stacks that
cover a slice."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.inference.predictor import predict_maps
from LungTumorSegLib.inference.stack_length import STACK_SLICES
from LungTumorSegLib.inference.stacks import stack_starts
from small_networks import a_grid_of_noise, a_network
from tiers import fast_only

CPU = torch.device("cpu")


@pytest.fixture
def a_grid():
    """Noise inside a mask with a gap along the slices, so that some stacks hold no lung."""
    mask = np.zeros((46, 34, 28), bool)
    mask[4:16, 6:28, 4:24] = True
    mask[36:43, 6:20, 4:24] = True
    return a_grid_of_noise(mask)


def plain_probabilities(network, grid, stride):
    """Start -> probabilities of the whole network on that stack alone."""
    slices = torch.from_numpy(grid.image.array)
    with torch.no_grad():
        return {
            s: network(slices[None, None, s : s + STACK_SLICES])[0, 0].numpy()
            for s in stack_starts(len(slices), stride)
        }


@pytest.mark.parametrize("name", ["sff_multires_unet3d", "sff_unet3d", "multires_unet3d"])
@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_shared_features_change_nothing(a_grid, name, stride):
    network = a_network(name)
    maps = predict_maps(a_grid, network, stride=stride, device=CPU)
    stacks = plain_probabilities(network, a_grid, stride)
    spread = 0.0
    for k in np.flatnonzero(maps.count.any(axis=(1, 2))):
        covering = [
            each[k - s]
            for s, each in stacks.items()
            if 0 <= k - s < STACK_SLICES and a_grid.region.array[s : s + STACK_SLICES].any()
        ]
        assert (maps.count[k] == len(covering)).all()
        np.testing.assert_allclose(maps.mean[k], np.mean(covering, axis=0), atol=2e-5)
        np.testing.assert_allclose(maps.deviation()[k], np.std(covering, axis=0), atol=2e-5)
        spread = max(spread, float(np.std(covering, axis=0).max()))
    assert spread > 1e-3  # the stacks do differ, so that a wrong average would show


@pytest.mark.parametrize("name", fast_only(["sff_multires_unet3d"], ["sff_multires_unet3d", "multires_unet3d"]))
def test_mirrored_stacks_count_as_stacks_of_their_own(a_grid, name):
    network = a_network(name)
    both = predict_maps(a_grid, network, stride=2, mirror=True, device=CPU)
    image, region = (v.with_array(np.ascontiguousarray(v.array[..., ::-1])) for v in (a_grid.image, a_grid.region))
    plain = predict_maps(a_grid, network, stride=2, device=CPU)
    other = predict_maps(replace(a_grid, image=image, region=region), network, stride=2, device=CPU)
    mean, deviation = other.mean[..., ::-1], other.deviation()[..., ::-1]
    assert (both.count == 2 * plain.count).all()
    np.testing.assert_allclose(both.mean, (plain.mean + mean) / 2, atol=2e-5)
    variance = (plain.deviation() ** 2 + deviation**2) / 2 + ((plain.mean - mean) / 2) ** 2  # of halves of equal size
    np.testing.assert_allclose(both.deviation() ** 2, variance, atol=2e-5)
    assert (
        np.abs(plain.mean - mean).max() > 1e-2
    )  # the network does tell left from right, so that a view left out would show


@pytest.mark.parametrize(("name", "closer_above"), [("sff_multires_unet3d", None), ("multires_unet3d", 0.5)])
def test_stacks_in_batches_give_what_single_ones_give(a_grid, name, closer_above):
    network, sizes = a_network(name), []
    network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    choices = {"stride": 4, "mirror": True, "closer_above": closer_above, "device": CPU}
    single = predict_maps(a_grid, network, **choices)
    assert set(sizes) == {1}, "one at a time is fastest on a CPU"
    sizes.clear()
    steps = []
    batches = predict_maps(a_grid, network, **choices, at_once=3, on_progress=steps.append)
    assert 3 in sizes
    assert max(sizes) == 3
    assert (batches.count == single.count).all()
    np.testing.assert_allclose(batches.mean, single.mean, atol=1e-5)
    np.testing.assert_allclose(batches.deviation(), single.deviation(), atol=1e-4)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total


def test_stacks_without_lung_are_skipped(a_grid):
    maps = predict_maps(a_grid, a_network("sff_multires_unet3d"), stride=1, device=CPU)
    inside = a_grid.region.array.any(axis=(1, 2))
    empty = [s for s in stack_starts(len(inside), 1) if not inside[s : s + STACK_SLICES].any()]
    assert empty
    assert maps.count[:, 0, 0].sum() == STACK_SLICES * (len(stack_starts(len(inside), 1)) - len(empty))
    assert maps.count[inside].min() > 0


def test_the_extractor_sees_each_slice_once(a_grid):
    network = a_network("sff_multires_unet3d")
    seen = []
    features = network.features
    network.features = lambda slices: (seen.append(len(slices)), features(slices))[1]
    predict_maps(a_grid, network, stride=1, device=CPU)
    assert sum(seen) <= a_grid.image.shape[0]


def test_progress_counts_stacks_and_a_callback_that_raises_ends_within_one(a_grid):
    calls = []

    def cancel_at_the_third(progress):
        calls.append(progress)
        if progress.done == 200:
            raise Cancelled

    with pytest.raises(Cancelled):
        predict_maps(a_grid, a_network("multires_unet3d"), stride=2, device=CPU, on_progress=cancel_at_the_third)
    assert [p.done for p in calls] == [0, 100, 200]
    assert {p.stage for p in calls} == {"predicting"}


def test_bfloat16_agrees_with_single_precision_to_its_accuracy(a_grid):
    network = a_network("sff_multires_unet3d")
    single = predict_maps(a_grid, network, stride=4, device=CPU)
    half = predict_maps(a_grid, network, stride=4, device=CPU, precision="bfloat16")
    assert np.abs(single.mean - half.mean).mean() < 0.02  # 8 bits of mantissa through some 30 layers
    assert half.mean.dtype == np.float32


class _Failing(torch.nn.Module):
    def __init__(self, fail):
        super().__init__()
        self.fail = fail

    def forward(self, stack):
        return self.fail()


def _out_of_graphics_memory():
    raise torch.OutOfMemoryError("CUDA out of memory.")


@pytest.mark.parametrize(
    ("fail", "sentence"),
    [
        (lambda: torch.empty(1 << 60), "There is not enough memory; close"),
        (_out_of_graphics_memory, "graphics card does not have enough memory"),
    ],
)
def test_too_little_memory_is_reported(a_grid, fail, sentence):
    with pytest.raises(MachineLimit, match=sentence):
        predict_maps(a_grid, _Failing(fail), stride=4, device=CPU)


def test_another_error_of_torch_is_not_taken_for_a_lack_of_memory(a_grid):
    with pytest.raises(RuntimeError, match="must match the size"):
        predict_maps(a_grid, _Failing(lambda: torch.ones(2) + torch.ones(3)), stride=4, device=CPU)


@pytest.fixture
def with_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("closer", [None, 0.5])
def test_two_stacks_at_the_same_time_give_the_same(a_grid, with_threads, closer):
    network = a_network("sff_unet3d")
    choices = {"stride": 4, "mirror": True, "closer_above": closer, "device": CPU}
    with_threads(1)
    one_by_one = predict_maps(a_grid, network, **choices)
    with_threads(2)
    steps = []
    side_by_side = predict_maps(a_grid, network, **choices, on_progress=steps.append)
    np.testing.assert_array_equal(side_by_side.count, one_by_one.count)
    np.testing.assert_allclose(side_by_side.mean, one_by_one.mean, atol=1e-6)
    np.testing.assert_allclose(side_by_side.deviation(), one_by_one.deviation(), atol=1e-6)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total


@pytest.mark.parametrize("threads", [1, 2])
def test_stacks_at_the_same_time_are_computed_in_the_wanted_precision(a_grid, with_threads, threads):
    with_threads(threads)
    network = _Failing(lambda: torch.ones((1, 1)) @ torch.ones((1, 1)))
    seen = set()
    network.forward = lambda stack: (seen.add(network.fail().dtype), torch.zeros_like(stack))[1]
    predict_maps(a_grid, network, stride=8, mirror=True, device=CPU, precision="bfloat16")
    assert seen == {torch.bfloat16}


def test_a_lack_of_memory_beside_another_stack_is_reported(a_grid, with_threads):
    with_threads(2)
    with pytest.raises(MachineLimit, match="There is not enough memory; close"):
        predict_maps(a_grid, _Failing(lambda: torch.empty(1 << 60)), stride=4, mirror=True, device=CPU)


def test_a_callback_that_raises_ends_stacks_at_the_same_time_too(a_grid, with_threads):
    with_threads(2)
    computed, steps = [], []
    network = a_network("multires_unet3d")
    network.register_forward_hook(lambda module, given, answer: computed.append(1))

    def cancel_at_the_third(progress):
        steps.append(progress.done)
        if progress.done == 200:
            raise Cancelled

    with pytest.raises(Cancelled):
        predict_maps(a_grid, network, stride=1, mirror=True, device=CPU, on_progress=cancel_at_the_third)
    assert steps == [0, 100, 200]
    assert len(computed) < 20  # of 52
