"""What every child process of a training does: it ends when the training ends, for whatever reason."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait

from ..process.streams import heeded_signals


@contextmanager
def ending_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Provide a pool of child processes for a ``with`` block; if the block fails, they end in the middle of their work.

    The pool of the standard library would wait until they are done, which can take minutes.
    """
    spawn = multiprocessing.get_context("spawn")
    held, holder = spawn.Pipe(duplex=False)
    with ProcessPoolExecutor(max(1, workers), mp_context=spawn, initializer=end_with_parent, initargs=(held,)) as pool:
        try:
            yield pool
        except BaseException:
            holder.close()
            pool.shutdown(cancel_futures=True)
            raise


def end_with_parent(held: Connection | None = None) -> None:
    """End this child process as soon as its parent is gone, or has closed its end of ``held``, or a signal asks it to.

    Call it first in a child process, in its main thread. Without it, a killed training leaves its child processes
    running forever. The child processes of a ProcessPoolExecutor never check whether their parent is alive. PyTorch's
    do, every five seconds, but they take for their parent the process that they find when they start. If the parent was
    killed before, that is the system's first process, which never ends.

    A signal to the whole group of processes (a terminal's Ctrl+C, a cluster's SIGTERM) ends the child without an error,
    because the training itself tells the user that it was cancelled. PyTorch's data loader would report each child that
    a signal has killed.
    """
    signal.set_wakeup_fd(-1)  # a forked child would announce its signals to the training
    for number in heeded_signals():
        signal.signal(number, _end)
    threading.Thread(target=_wait_and_end, args=(held,), daemon=True).start()


def _end(*_: object) -> None:
    os._exit(0)


def _wait_and_end(held: Connection | None) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel, *([held] if held is not None else [])])
        os._exit(1)  # there is nobody left to clean up for
