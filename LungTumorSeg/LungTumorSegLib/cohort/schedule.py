"""Run the tasks of a cohort: in local child processes, or on a Dask cluster."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..core.errors import MachineLimit, UnusableInput
from ..core.events import Cancelled
from ..core.texts import shown
from ..io.headers import read_header
from ..process.hardware import free_memory_bytes, has_graphics_card
from .items import Item
from .progress import CohortProgress
from .records import FAILED, RECORDS_FOLDER, Record
from .run_item import Task, run_task

BYTES_PER_RUN, BYTES_PER_VOXEL = 0.7 * 2**30, 32.0
"""Memory of a run in bytes: without a CT, and per voxel of the CT (measured: 7 GiB for 512 x 512 x 900 voxels)."""

SLICE_VOXELS = 512 * 512
"""Voxels of a DICOM slice whose header has not been read."""

POLL_SECONDS = 0.1
"""Seconds between two checks for finished tasks and for a cancellation."""

CONNECT_SECONDS = 30
"""Longest wait for the scheduler of a cluster in seconds."""

STOP_PREFIX = "stop-"

OnRecord = Callable[[Task, Record], None]
"""Receives the record of each task when it has ended."""


def default_workers(items: Sequence[Item], *, cpu_only: bool) -> int:
    """Return how many CTs this machine can segment at the same time: as many as memory and processor cores allow.

    A graphics card takes one CT at a time.

    Args:
        items: The items; the largest one decides.
        cpu_only: Whether a graphics card will not be used.
    """
    if not cpu_only and has_graphics_card():
        return 1
    needed = BYTES_PER_RUN + BYTES_PER_VOXEL * max((_voxels(item) for item in items), default=0)
    return max(1, min(len(items), os.cpu_count() or 1, int((free_memory_bytes() or 0) / needed)))


def _voxels(item: Item) -> int:
    """Return the approximate number of voxels of a CT; 0 if it cannot be read."""
    try:
        if item.path.is_dir():
            return SLICE_VOXELS * len(item.files or os.listdir(item.path))
        slices, rows, columns = read_header(item.path, phase=item.phase_number).shape
        return slices * rows * columns
    except (UnusableInput, OSError):
        return 0


def run_locally(
    tasks: Sequence[Task], workers: int, on_record: OnRecord, check: Callable[[], None], progress: CohortProgress
) -> None:
    """Run tasks in child processes of this process.

    Args:
        tasks: The tasks, in the order in which they start.
        workers: Number of tasks that run at the same time.
        on_record: Called in this thread with each record.
        check: Called often in this thread; an exception that it raises ends all child processes.
        progress: Receives the progress of the child processes.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(workers, thread_name_prefix="cohort") as pool:
        running = {
            pool.submit(run_task, task, stop.is_set, partial(progress.report, task.item.case)): task for task in tasks
        }
        try:
            while running:
                check()
                for future in wait(running, POLL_SECONDS, FIRST_COMPLETED).done:
                    on_record(running.pop(future), future.result())
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def run_on_cluster(
    tasks: Sequence[Task], address: str, on_record: OnRecord, check: Callable[[], None], progress: CohortProgress
) -> None:
    """Run tasks on a Dask cluster whose workers see the same files under the same paths.

    If a worker is lost, the cluster gives its tasks to another one.

    Args:
        tasks: The tasks.
        address: Address of the scheduler, such as "tcp://host:8786".
        on_record: Called in this thread with each record.
        check: Called often in this thread; an exception that it raises ends the work on all workers.
        progress: Receives which tasks have started; workers do not report how far they are.

    Raises:
        MachineLimit: If the scheduler cannot be reached or stops.
        ImportError: If the package distributed is not installed.
    """
    from distributed import Client  # an optional package

    unreachable = f"The Dask scheduler {shown(address)} does not answer; check the address and start the scheduler."
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise MachineLimit(unreachable) from error
    with client, _stop_file(tasks[0].output / RECORDS_FOLDER) as stop:
        names = [f"{task.item.case}-{stop.name}" for task in tasks]
        running = dict(
            zip(client.map(run_on_worker, tasks, [stop] * len(tasks), key=names, pure=False), tasks, strict=True)
        )
        for task in tasks:
            progress.report(task.item.case, 0.0)
        while running:
            check()
            if client.status not in ("running", "connecting"):
                raise MachineLimit(unreachable)
            for future in [each for each in running if each.done()]:
                on_record(running.pop(future), _record_of(future))
            time.sleep(POLL_SECONDS)


def run_on_worker(task: Task, stop: Path) -> Record:
    """Run a task in a worker of a cluster; the file ``stop`` asks it to end."""
    return run_task(replace(task, threads=task.threads or threads_of_worker()), stop.exists)


def threads_of_worker() -> int:
    """Return the share of the processor cores that one task of this Dask worker may use."""
    from distributed import get_worker  # an optional package

    return max(1, (os.cpu_count() or 1) // max(1, get_worker().state.nthreads))


def _record_of(future: Any) -> Record:
    """Return the record of a finished task; a task that the cluster could not run has failed."""
    try:
        record = future.result()
    except Cancelled:
        raise
    except Exception as error:  # Lost workers, lost connections and differing versions have no common class.
        logging.getLogger(__name__).warning("A task of the cluster failed.", exc_info=error)
        return Record(FAILED, reason=f"The cluster could not run it ({type(error).__name__}); see the workers' logs.")
    return record if isinstance(record, Record) else Record(FAILED, reason="The cluster runs another version.")


@contextmanager
def _stop_file(folder: Path) -> Iterator[Path]:
    """Yield the path of a file that appears if the block fails, which tells the workers to end."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{STOP_PREFIX}*"):
        left.unlink(missing_ok=True)
    stop = folder / f"{STOP_PREFIX}{secrets.token_hex(8)}"
    try:
        yield stop
    except BaseException:
        stop.touch()
        raise
