"""The pool gives back what was drawn, and draws nothing twice."""

import numpy as np
import pytest
from LungTumorSegLib.core.events import ignore_progress
from LungTumorSegLib.training.second_look import pool as pool_module
from LungTumorSegLib.training.second_look.pool import fill_pool


class CountingSampler:
    """Gives the sample of a fixed pool, and counts."""

    def __init__(self, make):
        self._make, self.drawn = make, 0

    def draw(self, rng):
        self.drawn += 1
        return self._make(int(rng.integers(2**31)))


@pytest.fixture
def sampler(pool):
    def make(seed):
        from LungTumorSegLib.training.second_look.sampling import Sample

        rng = np.random.default_rng(seed)
        views = rng.integers(-1000, 1000, (40, 40, 40)), rng.integers(0, 200, (2, 32, 32, 32))
        return Sample(*(view.astype(np.int16) for view in views), np.ones((40, 40, 40), np.uint8), 0.5, 1, "one")

    return CountingSampler(make)


def test_a_pool_that_was_interrupted_is_completed_and_equals_another_one(tmp_path, sampler, monkeypatch):
    monkeypatch.setattr(pool_module, "SHARD", 2)
    whole = fill_pool(tmp_path / "a", 5, 1, lambda: sampler, ignore_progress)
    assert sampler.drawn == 5
    fill_pool(tmp_path / "b", 2, 1, lambda: sampler, ignore_progress)
    resumed = fill_pool(tmp_path / "b", 5, 1, lambda: sampler, ignore_progress)
    assert sampler.drawn == 10
    numbers = np.array([4, 0, 3])
    one, other = whole.take(numbers), resumed.take(numbers)
    np.testing.assert_array_equal(one.fine, other.fine)
    assert len(np.unique(one.fine[:, 0, 0])) > 40  # the three samples differ


def test_a_complete_pool_needs_no_sampler(tmp_path, sampler):
    fill_pool(tmp_path, 2, 1, lambda: sampler, ignore_progress)

    def never():
        raise AssertionError("a complete pool reads no case")

    assert len(fill_pool(tmp_path, 2, 1, never, ignore_progress).without([])) == 2


def test_samples_of_left_out_sources_are_not_used(pool):
    assert pool.without([]).tolist() == [0, 1, 2, 3]
    assert pool.without(["one"]).tolist() == [2, 3]
    assert set(pool.take(pool.without(["one"])).source) == {"two"}
