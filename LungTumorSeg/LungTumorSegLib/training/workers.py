"""What every process does that works for a training: it ends when the training ends, however that ends."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """To be called first in a worker process: a thread ends the worker as soon as its parent is gone.

    Without it a training that is killed leaves workers behind for good. The workers of a ProcessPoolExecutor never look whether their
    parent lives. PyTorch's do, every five seconds, but the parent they look for is the one they find when they have begun; if it was
    killed before, that is the system's first process, which lives on.
    """
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # nobody is left to tidy up for
