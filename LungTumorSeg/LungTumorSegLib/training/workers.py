"""What every child process of a training does: it ends when the training ends, for whatever reason."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Start a thread that ends this child process as soon as its parent is gone.

    Call it first in a child process. Without it, a killed training leaves its child processes running forever. The
    child processes of a ProcessPoolExecutor never check whether their parent is alive. PyTorch's do, every five
    seconds, but they take for their parent the process that they find when they start. If the parent was killed before,
    that is the system's first process, which never ends.
    """
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # there is nobody left to clean up for
