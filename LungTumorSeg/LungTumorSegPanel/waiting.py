"""Waiting for a run: with Qt's timer beside everything else, or for a script that has nothing else to do."""

import time

from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.process.segmentation_run import SegmentationRun

from .timers import makeTimer

POLL_MILLISECONDS = 100
"""How often a run is looked at: often enough for a smooth progress bar."""


def watched(run: SegmentationRun) -> SegmentationRun:
    """Look at the run from Qt's event loop until it has finished; returns it at once."""

    def look() -> None:
        run.poll()
        if run.finished:
            timer.stop()

    timer = makeTimer(POLL_MILLISECONDS, look)
    timer.start()
    return run


def result_of(run: SegmentationRun) -> Node:
    """Wait for the run's end, without an event loop, and return its result or raise its error."""
    try:
        while not run.finished:
            run.poll()
            time.sleep(POLL_MILLISECONDS / 1000)
    finally:
        run.close()
    if run.error is not None:
        raise run.error
    return run.result
