"""A measure of how long Qt's event loop is blocked."""

from __future__ import annotations

import time


class Heartbeat:
    """Measures the longest time, s, for which Qt's event loop was blocked."""

    def __init__(self) -> None:
        import qt  # the stand-in's, once it is installed

        self.longest, self._last, self.count = 0.0, time.perf_counter(), 0
        self._timer = qt.QTimer()
        self._timer.setInterval(5)
        self._timer.connect("timeout()", self._beat)
        self._timer.start()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest, self._last, self.count = max(self.longest, now - self._last), now, self.count + 1

    def restart(self) -> None:
        """Forget everything measured so far."""
        self.longest, self._last, self.count = 0.0, time.perf_counter(), 0

    def stop(self) -> None:
        """Stop measuring."""
        self._timer.stop()
