"""Worker threads in which torch computes several things at the same time.

A small network does not keep all cores busy by itself: much of its time is spent between its layers, or in layers that
use one thread. Two networks side by side do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from ..core.machine import return_freed_memory
from ..core.threads import in_order

MOST_WORKERS = 2
"""Number of workers; each one takes as much memory as the network needs for one input."""

AHEAD = 8
"""Number of results that may wait for an earlier one, so that a long computation does not stop the other worker."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """Run functions side by side, each with its share of torch's threads.

    Attributes:
        ahead: Number of functions to start before the result of the first one is awaited.
    """

    def __init__(self, pool: ThreadPoolExecutor | None) -> None:
        """Use the threads of ``pool``; without them, functions run at once in the thread that starts them."""
        self._pool = pool
        self.ahead = 0 if pool is None else AHEAD

    def start(self, work: Callable[[Item], Result], item: Item) -> Future[Result]:
        """Start a function. Functions begin in the order in which they were started."""
        if self._pool is not None:
            return self._pool.submit(work, item)
        done: Future[Result] = Future()
        done.set_result(work(item))
        return done

    def results(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the results of a function in the order of its arguments."""
        return in_order((self.start(work, item) for item in items), self.ahead)


@contextmanager
def torch_workers(most: int = MOST_WORKERS) -> Iterator[Workers]:
    """Divide torch's threads among workers, and unite them again at the end.

    Args:
        most: The largest number of workers. There are fewer if torch has fewer threads.

    Yields:
        The workers. What has not begun when the context ends never begins.
    """
    threads = torch.get_num_threads()
    count = min(most, threads)
    if count < 2:
        yield Workers(None)
        return
    pool = ThreadPoolExecutor(count, "torch", torch.set_num_threads, (threads // count,))
    try:
        yield Workers(pool)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # a worker changed the number for all new threads
        return_freed_memory()
