"""Measure in a separate thread while a person edits.

The panel submits copies of what was touched and polls the results from time to time. This module uses neither Slicer
nor Qt, like ``job.py``. The newest edit has priority: unfinished measurements of older edits are dropped.
"""

from __future__ import annotations

import logging
import threading

from ..core.errors import UnusableInput
from ..core.volume import Volume
from .snapshot import Measures, Snapshot

UNEXPECTED = "The lesions could not be measured; see the log for details."


class Remeasuring:
    """Run ``measuring.SnapshotMeasurement`` in a thread of its own; no method waits for the thread."""

    def __init__(self, ct: Volume) -> None:
        self._ct = ct
        self._changed = threading.Condition()
        self._wanted: Snapshot | None = None
        self._submitted = self._finished = 0
        self._known: Measures | None = None
        self._closed = False
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether results of the newest snapshot are still to be computed or polled."""
        with self._changed:
            return self._finished < self._submitted or self._known is not None

    def submit(self, snapshot: Snapshot) -> None:
        """Request the measurements of a snapshot and abandon an older one."""
        with self._changed:
            self._wanted = snapshot
            self._submitted += 1
            self._changed.notify()

    def poll(self) -> Measures | None:
        """Return the newest measurements since the last call; None if nothing was measured."""
        with self._changed:
            known, self._known = self._known, None
            return known

    def close(self) -> None:
        """End the thread after its present step; nothing can be polled afterwards."""
        with self._changed:
            self._closed, self._known = True, None
            self._finished = self._submitted
            self._changed.notify()

    def _run(self) -> None:
        """Measure snapshot after snapshot until closed."""
        from . import measuring  # imports scipy and vtk, which would delay the panel's thread

        measurement: measuring.SnapshotMeasurement | None = None
        while (wanted := self._next()) is not None:
            number, snapshot = wanted
            try:
                measurement = measurement or measuring.SnapshotMeasurement(self._ct)
                for measures in measurement.measure(snapshot):
                    if not self._tell(number, measures):
                        break
            except UnusableInput as error:
                self._tell(number, Measures(problem=str(error)))
            except Exception:  # otherwise, the exception would vanish with the thread
                logging.getLogger(__name__).exception("Measuring failed.")
                measurement = None
                self._tell(number, Measures(problem=UNEXPECTED))

    def _next(self) -> tuple[int, Snapshot] | None:
        """Wait for a snapshot and return it with its number; None when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._wanted is not None)
            snapshot, self._wanted = self._wanted, None
            return None if self._closed or snapshot is None else (self._submitted, snapshot)

    def _tell(self, number: int, measures: Measures) -> bool:
        """Publish measurements.

        Returns:
            False if a newer snapshot waits; its measurements have priority.
        """
        with self._changed:
            if self._closed or number != self._submitted:
                return False
            self._known = measures
            if measures.complete:
                self._finished = number
            return True
