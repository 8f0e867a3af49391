"""Workers compute at the same time, return results in order, and leave torch's threads as they were."""

from threading import Barrier, Thread

import pytest
import torch
from LungTumorSegLib.networks.workers import AHEAD, torch_workers


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_two_workers_work_at_the_same_time_and_answer_in_order(two_threads):
    both = Barrier(2, timeout=20)  # breaks if the second item begins only after the first one

    def work(item):
        both.wait()
        return item, torch.get_num_threads()

    with torch_workers() as workers:
        assert list(workers.results(work, range(6))) == [(item, 1) for item in range(6)]


def test_torch_keeps_its_threads(two_threads):
    with torch_workers() as workers:
        workers.start(abs, 1).result()
    seen = [torch.get_num_threads()]
    later = Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert seen == [2, 2]


@pytest.mark.parametrize("threads", [1, 2])
def test_work_begins_only_shortly_before_its_result_is_wanted(two_threads, threads):
    torch.set_num_threads(threads)
    begun = []
    with torch_workers() as workers:
        results = workers.results(begun.append, range(100))
        assert not begun
        next(results)
    assert 1 <= len(begun) <= (1 if threads == 1 else AHEAD + 1)


def test_the_error_of_a_lane_reaches_the_caller_and_ends_the_rest(two_threads):
    begun = []

    def work(item):
        begun.append(item)
        if item == 1:
            raise ValueError("one")

    with pytest.raises(ValueError, match="one"), torch_workers() as workers:
        list(workers.results(work, range(1000)))
    assert len(begun) <= AHEAD + 3
