"""The largest memory that this process has taken."""

from __future__ import annotations

import sys
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
"""Linux only: what a process takes, and how its peak is set back (proc(5))."""


def peak_bytes() -> int | None:
    """Return the peak memory (resident set) of this process, bytes; None on Windows, which has no such count.

    On Linux, ``getrusage`` begins with the memory of the process that started this one, so that it is not asked there.
    """
    if STATUS.is_file():
        lines = dict(line.split(":", 1) for line in STATUS.read_text(encoding="ascii").splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak() -> bool:
    """Let ``peak_bytes`` count from the present memory on; return whether the system can do so (Linux)."""
    try:
        CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True
