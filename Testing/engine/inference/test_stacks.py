"""Stacks cover every slice; their statistics are those of a list."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.inference.stack_length import STACK_SLICES
from LungTumorSegLib.inference.stacks import StackStatistics, stack_starts


def test_stride_one_is_every_stack():
    assert stack_starts(11, 1) == [0, 1, 2, 3]


def test_the_last_stack_ends_with_the_last_slice():
    assert stack_starts(19, 4) == [0, 4, 8, 11]
    assert stack_starts(8, 4) == [0]


@given(slices=st.integers(8, 60), stride=st.integers(1, 8))
def test_every_slice_is_covered_and_inner_ones_at_least_twice_up_to_half_a_stack(slices, stride):
    covered = np.zeros(slices, int)
    for start in stack_starts(slices, stride):
        covered[start : start + STACK_SLICES] += 1
    assert covered.min() >= 1
    if stride <= 4:
        assert (covered[4:-4] >= 2).all()


@pytest.mark.parametrize("stride", [0, 9, -1])
def test_a_stride_that_leaves_slices_out_is_refused(stride):
    with pytest.raises(UnusableInput, match="from 1 to 8"):
        stack_starts(20, stride)


def test_fewer_slices_than_a_stack_are_refused():
    with pytest.raises(ValueError, match="At least 8"):
        stack_starts(7, 1)


def test_mean_and_deviation_are_those_of_the_stacks_that_cover_a_slice():
    rng = np.random.default_rng(5)
    stacks = {start: rng.random((8, 3, 4)).astype(np.float32) for start in (0, 2, 3)}
    statistics = StackStatistics((11, 3, 4))
    for start, each in stacks.items():
        statistics.add(((start, 0, 0), (start + 8, 3, 4)), each)
    for k in range(11):
        covering = [each[k - start] for start, each in stacks.items() if 0 <= k - start < 8]
        assert (statistics.count[k] == len(covering)).all()
        np.testing.assert_allclose(statistics.mean[k], np.mean(covering, axis=0), atol=1e-6)
        np.testing.assert_allclose(statistics.deviation()[k], np.std(covering, axis=0), atol=1e-6)


def test_equal_stacks_near_one_have_no_deviation():
    statistics = StackStatistics((8, 1, 1))
    for _ in range(8):
        statistics.add(((0, 0, 0), (8, 1, 1)), np.full((8, 1, 1), 0.99987, np.float32))
    assert statistics.deviation().max() < 1e-6  # a sum of squares would give 2e-4
