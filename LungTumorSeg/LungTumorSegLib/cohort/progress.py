"""How far the runs of a cohort are."""

from __future__ import annotations

from ..core.events import Progress

STAGE = "segmenting"

HUNDREDTHS = 100
"""Steps of one CT in the progress of a cohort."""


class CohortProgress:
    """The progress of a whole cohort, from the shares of its CTs that are done.

    CTs whose result exists already do not count, because they would make the estimated time left too short. Threads
    that run CTs may report at the same time.
    """

    def __init__(self, count: int) -> None:
        self._shares: dict[str, float] = {}
        self._count = count

    def report(self, case: str, share: float) -> None:
        """Record the share of a CT that is done, 0 to 1; the first report says that its run has started."""
        self._shares[case] = share

    def end(self, case: str) -> None:
        """Record that a CT needs no further work."""
        if case in self._shares:
            self._shares[case] = 1.0
        else:
            self._count -= 1

    @property
    def progress(self) -> Progress:
        """Return the progress of all CTs, in hundredths of a CT."""
        done = sum(list(self._shares.values()))  # Sum a copy, because other threads add CTs.
        return Progress(STAGE, int(HUNDREDTHS * done), HUNDREDTHS * self._count)
