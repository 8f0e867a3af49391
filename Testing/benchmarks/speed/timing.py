"""Wall and processor seconds, and what they depend on."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

PROCESSOR_FILE = Path("/proc/cpuinfo")
PACKAGES = ("torch", "openvino", "numpy", "SimpleITK")


@dataclass(frozen=True)
class Duration:
    """Wall and processor seconds of a computation. Only processor seconds mean something on a shared machine."""

    wall_s: float
    processor_s: float

    def __add__(self, other: Duration) -> Duration:
        return Duration(self.wall_s + other.wall_s, self.processor_s + other.processor_s)

    def __sub__(self, other: Duration) -> Duration:
        return Duration(self.wall_s - other.wall_s, self.processor_s - other.processor_s)

    def __mul__(self, times: float) -> Duration:
        return Duration(self.wall_s * times, self.processor_s * times)

    def over(self, other: Duration) -> str:
        """Return how many times longer this took than another: by processor seconds, then by wall seconds."""
        return f"{self.processor_s / other.processor_s:.2f} ({self.wall_s / other.wall_s:.2f})"

    def __str__(self) -> str:
        """Return processor seconds, then wall seconds."""
        return f"{self.processor_s:.2f} ({self.wall_s:.2f})"


def now() -> Duration:
    """Return the clocks of this process; subtract two readings."""
    return Duration(time.perf_counter(), time.process_time())


def machine() -> str:
    """Return in one sentence what times depend on: date, processor, system, threads and versions."""
    import torch

    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES if find_spec(name))
    return (
        f"Measured on {datetime.now(UTC).date().isoformat()} on {_processor()} with {os.cpu_count()} cores, "
        f"{platform.system()}, torch on {torch.get_num_threads()} thread(s), Python {platform.python_version()}, "
        f"{packages}."
    )


def _processor() -> str:
    """Return the name of the processor."""
    lines = PROCESSOR_FILE.read_text(encoding="utf-8").splitlines() if PROCESSOR_FILE.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
