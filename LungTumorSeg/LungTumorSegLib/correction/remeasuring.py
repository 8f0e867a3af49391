"""Measuring in a thread of its own while somebody edits: the window copies what was touched and asks now and then what is known.

Neither Slicer nor Qt, as in ``job.py``. The newest edit counts: what an older one has not yet led to is dropped.
"""

from __future__ import annotations

import logging
import threading

from ..core.errors import UnusableInput
from ..core.volume import Volume
from .snapshot import Measures, Snapshot

UNEXPECTED = "The lesions could not be measured; the log has the details."


class Remeasuring:
    """``measuring.SnapshotMeasurement`` in a thread. No method waits for it."""

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
        """True until all that is known of the newest snapshot was polled."""
        with self._changed:
            return self._finished < self._submitted or self._known is not None

    def submit(self, snapshot: Snapshot) -> None:
        """Asks for the measures of ``snapshot``; an older one is given up."""
        with self._changed:
            self._wanted = snapshot
            self._submitted += 1
            self._changed.notify()

    def poll(self) -> Measures | None:
        """The newest measures since the last call, if there are any."""
        with self._changed:
            known, self._known = self._known, None
            return known

    def close(self) -> None:
        """Lets the thread end after the step that it is in; nothing can be polled any more."""
        with self._changed:
            self._closed, self._known = True, None
            self._finished = self._submitted
            self._changed.notify()

    def _run(self) -> None:
        from . import measuring  # scipy and vtk: not in the window's thread, and not before somebody corrects

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
            except Exception:  # a thread's exception would be lost else
                logging.getLogger(__name__).exception("Measuring failed.")
                measurement = None
                self._tell(number, Measures(problem=UNEXPECTED))

    def _next(self) -> tuple[int, Snapshot] | None:
        """Waits for a snapshot; None when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._wanted is not None)
            snapshot, self._wanted = self._wanted, None
            return None if self._closed or snapshot is None else (self._submitted, snapshot)

    def _tell(self, number: int, measures: Measures) -> bool:
        """Publishes measures; False where a newer snapshot waits, whose measures then come first."""
        with self._changed:
            if self._closed or number != self._submitted:
                return False
            self._known = measures
            if measures.complete:
                self._finished = number
            return True
