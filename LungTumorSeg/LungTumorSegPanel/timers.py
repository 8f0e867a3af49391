"""Qt timers with a callback, the only way in which the module waits."""

from collections.abc import Callable

import qt


def makeTimer(milliseconds: int, callback: Callable[[], None], *, singleShot: bool = False) -> qt.QTimer:
    """Return a timer, not yet started, that calls ``callback`` at its interval."""
    timer = qt.QTimer()
    timer.setSingleShot(singleShot)
    timer.setInterval(milliseconds)
    timer.connect("timeout()", callback)
    return timer
