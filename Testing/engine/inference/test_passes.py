"""A first pass covers every slice, and a closer look holds everything that the first pass suspects."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from LungTumorSegLib.inference.grid import MARGIN_VOXELS
from LungTumorSegLib.inference.passes import RIM_VOXELS, Part, all_stacks, crop_stack, first_pass, windows_of
from LungTumorSegLib.inference.predictor import predict_maps
from LungTumorSegLib.inference.stack_length import STACK_SLICES
from small_networks import a_grid_of_noise, a_network

CPU = torch.device("cpu")
SHAPE = (8, 96, 120)
STACK = Part(((4, 0, 0), (12, 96, 120)))


@pytest.fixture
def grid():
    mask = np.zeros((30, 72, 90), bool)
    mask[4:16, 6:66, 4:84] = True
    mask[22:27, 6:66, 4:84] = True
    return a_grid_of_noise(mask)


@pytest.mark.parametrize("stride", range(1, 9))
def test_the_first_pass_covers_what_all_stacks_cover_with_as_few_as_needed(grid, stride):
    stacks = all_stacks(grid, stride, mirror=True)
    coarse = first_pass(stacks)
    assert not any(part.mirrored for part in coarse)
    covered = {k for part in coarse for k in range(part.start, part.start + 8)}
    assert covered == {k for part in stacks for k in range(part.start, part.start + 8)}
    for part in coarse:
        others = {k for other in coarse if other is not part for k in range(other.start, other.start + 8)}
        assert others != covered, "no stack of the first pass is superfluous"


@given(seed=st.integers(0, 10**6), count=st.integers(1, 12))
def test_every_suspected_voxel_lies_inside_the_trusted_part_of_a_window(seed, count):
    rng = np.random.default_rng(seed)
    suspected = np.zeros(SHAPE, bool)
    suspected[tuple(rng.integers(0, SHAPE, (count, 3)).T)] = True
    windows = windows_of(STACK, suspected, croppable=True)
    held = np.zeros(SHAPE, bool)
    for window in windows:
        (k0, i0, j0), (k1, i1, j1) = window.box
        assert (k0, k1) == (4, 12)
        assert not {i0 % 8, i1 % 8, j0 % 8, j1 % 8} - {0}
        assert 0 <= i0 < i1 <= 96
        assert 0 <= j0 < j1 <= 120
        (_, i0, j0), (_, i1, j1) = window.trusted((30, 96, 120))
        held[:, i0:i1, j0:j1] = True
    assert held[suspected].all()
    assert sum(window.area for window in windows) <= STACK.area


def test_nothing_suspected_needs_no_closer_look():
    assert windows_of(STACK, np.zeros(SHAPE, bool), croppable=True) == []
    assert windows_of(STACK, np.zeros(SHAPE, bool), croppable=False) == []


def test_a_network_that_needs_the_whole_plane_gets_it():
    suspected = np.zeros(SHAPE, bool)
    suspected[3, 40, 40] = True
    assert windows_of(STACK, suspected, croppable=False) == [STACK]


def test_far_suspicions_have_windows_of_their_own_and_near_ones_share():
    suspected = np.zeros(SHAPE, bool)
    suspected[0, 4, 4] = suspected[0, 90, 110] = True
    assert len(windows_of(STACK, suspected, croppable=True)) == 2
    suspected[0, 4, 20] = True
    assert len(windows_of(STACK, suspected, croppable=True)) == 2


def test_the_rim_is_trusted_only_at_the_border_of_the_grid():
    part = Part(((0, 0, 16), (8, 40, 56)), rim=RIM_VOXELS)
    assert part.trusted((8, 96, 56)) == ((0, 0, 16 + RIM_VOXELS), (8, 40 - RIM_VOXELS, 56))


@pytest.fixture
def small_grid():
    mask = np.zeros((14, 24, 28), bool)
    mask[2:12, 4:20, 4:24] = True
    return a_grid_of_noise(mask)


@pytest.mark.parametrize(("name", "difference"), [("sff_unet3d", 0.02), ("sff_recurrent_dense_unet3d", 1e-5)])
def test_a_closer_look_everywhere_is_the_full_prediction(small_grid, name, difference):
    """But for the air that is cropped from the first pass, which the recurrent network needs."""
    network = a_network(name)
    full = predict_maps(small_grid, network, stride=4, mirror=True, device=CPU)
    closer = predict_maps(small_grid, network, stride=4, mirror=True, closer_above=0.0, device=CPU)
    inside = small_grid.region.array
    assert (closer.count == full.count)[inside].all()
    np.testing.assert_allclose(closer.mean[inside], full.mean[inside], atol=difference)
    np.testing.assert_allclose(closer.deviation()[inside], full.deviation()[inside], atol=difference)


def test_beyond_all_suspicion_one_stack_counts(grid):
    coarse = predict_maps(grid, a_network("unet3d"), stride=4, mirror=True, closer_above=1.0, device=CPU)
    assert coarse.count.max() <= 2  # the last stack of the lungs may overlap the one before
    assert (coarse.count[grid.region.array] >= 1).all()


def test_a_cropped_stack_holds_its_region_with_a_margin_of_air_and_little_more(grid):
    grid.region.array[:, :, 50:] = False
    grid.region.array[:, 60:] = False
    for stack in all_stacks(grid, 2, mirror=True):
        part = crop_stack(stack, grid)
        (k0, i0, j0), (k1, i1, j1) = part.box
        assert (k0, k1, part.mirrored, part.rim) == (stack.start, stack.start + STACK_SLICES, stack.mirrored, 0)
        _, rows, columns = np.nonzero(grid.region.array[k0:k1])
        for (start, stop), index, size in (((i0, i1), rows, 80), ((j0, j1), columns, 88)):
            assert start % 8 == stop % 8 == 0
            assert start == 0 or MARGIN_VOXELS <= index.min() - start < MARGIN_VOXELS + 8
            assert stop == size or MARGIN_VOXELS < stop - index.max() <= MARGIN_VOXELS + 8


@pytest.mark.parametrize("name", ["sff_unet3d", "unet3d"])
def test_windows_give_nearly_what_whole_planes_give_and_cost_less(grid, name):
    network = a_network(name)
    voxels = []
    network.register_forward_hook(lambda module, given, answer: voxels.append(answer.numel()))
    full = predict_maps(grid, network, stride=4, mirror=True, device=CPU)
    cost_of_full = sum(voxels)
    first = predict_maps(grid, network, stride=4, mirror=True, closer_above=1.0, device=CPU)
    above = float(np.partition(first.mean.ravel(), -3)[-3])  # all but two voxels are below
    voxels.clear()
    steps = []
    found = predict_maps(grid, network, stride=4, mirror=True, closer_above=above, device=CPU, on_progress=steps.append)
    assert sum(voxels) < 0.8 * cost_of_full
    suspected = first.mean > above
    assert suspected.any()
    assert (found.count[suspected] == full.count[suspected]).all()
    np.testing.assert_allclose(found.mean[suspected], full.mean[suspected], atol=0.02)
    assert steps[-1].done == steps[-1].total
    assert sorted(step.done for step in steps) == [step.done for step in steps]


@pytest.mark.parametrize(("size", "place"), [(0, 34), (30, 34), (60, 10), (60, 60)])
def test_the_work_is_foreseen_within_a_third_after_a_third_of_the_first_pass(monkeypatch, size, place):
    mask = np.zeros((96, 90, 90), bool)
    mask[4:92, 4:86, 4:86] = True
    grid = a_grid_of_noise(mask)
    grid.image.array[...] *= 0.5
    grid.image.array[place : place + 24, 20 : 20 + size, 16 : 16 + size] = 1.0
    network = a_network("unet3d")
    monkeypatch.setattr(network, "forward", lambda stack: stack)
    steps = []
    predict_maps(grid, network, stride=2, mirror=True, closer_above=0.7, device=CPU, on_progress=steps.append)
    stacks = len(first_pass(all_stacks(grid, 2, mirror=True)))
    found = steps[-1].total
    assert [step.total for step in steps[stacks // 3 :] if not 2 / 3 < step.total / found < 4 / 3] == []
