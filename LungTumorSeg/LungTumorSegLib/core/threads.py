"""Run functions on threads side by side: numpy, scipy and zlib let other threads compute meanwhile."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

MOST_THREADS = 2
"""Number of threads; each one takes memory of its own, and more of them would mostly wait for the interpreter."""

LIMIT = "OMP_NUM_THREADS"
"""Environment variable by which a user, or the option ``--threads``, limits the number of threads."""

Result = TypeVar("Result")
Other = TypeVar("Other")


def allowed_threads() -> int:
    """Return how many threads may compute at the same time: 1 or 2."""
    limit = os.environ.get(LIMIT, "")
    return max(1, min(MOST_THREADS, os.cpu_count() or 1, int(limit) if limit.isdigit() else MOST_THREADS))


@contextmanager
def pool() -> Iterator[ThreadPoolExecutor]:
    """Yield ``allowed_threads`` threads; what has not begun when the context ends never begins."""
    threads = ThreadPoolExecutor(allowed_threads(), "side by side")
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)


def in_order(started: Iterable[Future[Result]], ahead: int) -> Iterator[Result]:
    """Yield the results of what an iterable starts, and start at most ``ahead`` more before a result is awaited."""
    waiting: deque[Future[Result]] = deque()
    for each in started:
        waiting.append(each)
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def run_both(first: Callable[[], Result], second: Callable[[], Other]) -> tuple[Result, Other]:
    """Call two functions that do not depend on each other, at the same time if two threads are allowed.

    Raises:
        Exception: What a function raises, after both have ended; if both raise, what the first one does.
    """
    if allowed_threads() < 2:
        return first(), second()
    with pool() as threads:
        beside = threads.submit(second)
        return first(), beside.result()
