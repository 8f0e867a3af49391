"""Functions that run side by side."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Barrier, get_ident

import pytest
from LungTumorSegLib.core import threads
from LungTumorSegLib.core.threads import allowed_threads, in_order, run_both


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.delenv(threads.LIMIT, raising=False)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 8)


@pytest.mark.parametrize(
    ("limit", "processors", "allowed"), [("1", 8, 1), ("4", 8, 2), ("", 1, 1), ("", None, 1), ("many", 8, 2)]
)
def test_neither_the_user_nor_the_processor_is_asked_too_much(monkeypatch, limit, processors, allowed):
    monkeypatch.setenv(threads.LIMIT, limit)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: processors)
    assert allowed_threads() == allowed


def test_two_functions_run_at_the_same_time(two_threads):
    met = Barrier(2, timeout=10)
    assert sorted(run_both(met.wait, met.wait)) == [0, 1]


def test_one_allowed_thread_runs_both_in_turn(monkeypatch):
    monkeypatch.setenv(threads.LIMIT, "1")
    assert run_both(get_ident, get_ident) == (get_ident(), get_ident())


@pytest.mark.parametrize("limit", ["1", "2"])
@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_either_function_is_raised(monkeypatch, limit, failing):
    monkeypatch.setenv(threads.LIMIT, limit)

    def fail() -> int:
        raise ValueError("it failed")

    functions = [lambda: 1, lambda: 2]
    functions[failing] = fail
    with pytest.raises(ValueError, match="it failed"):
        run_both(*functions)


def test_results_come_in_order_and_few_wait():
    started = []

    def start(number: int) -> Future[int]:
        started.append(number)
        future: Future[int] = Future()
        future.set_result(number)
        return future

    results = in_order(map(start, range(9)), ahead=2)
    assert next(results) == 0
    assert len(started) == 3
    assert list(results) == list(range(1, 9))
