"""Describe the devices on which a network could run, without importing torch."""

from __future__ import annotations

import os
import shutil
import subprocess

PATIENCE_SECONDS = 10.0
"""Longest wait for the driver's tool in seconds; it answers within one second, or hangs forever."""


def describe_devices() -> str:
    """Return one line per device, such as "CUDA: NVIDIA RTX A2000, 12 GB" and "CPU: 8 threads".

    The call takes up to ``PATIENCE_SECONDS``.
    """
    return "\n".join([*(f"CUDA: {card}" for card in _graphics_cards()), f"CPU: {os.cpu_count()} threads"])


def _graphics_cards() -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return []  # a driver that does not answer cannot compute either
    cards = [line.rpartition(",") for line in answer.stdout.splitlines()]
    return [
        f"{name.strip()}, {int(megabytes) / 1024:.0f} GB" for name, _, megabytes in cards if megabytes.strip().isdigit()
    ]


def has_graphics_card() -> bool:
    """Return whether the driver of a CUDA graphics card answers; the call takes up to ``PATIENCE_SECONDS``."""
    return bool(_graphics_cards())


def free_memory_bytes() -> int | None:
    """Return the memory in bytes that new processes can use; None if the system does not state it.

    On Linux this is what the kernel counts as available, or less if a control group limits it. Elsewhere it is half of
    the physical memory.
    """
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return min([int(lines["MemAvailable"].split()[0]) * 1024, *_group_limits()])
    except (OSError, KeyError, ValueError):
        return _half_of_memory()


def _group_limits() -> list[int]:
    """Return the free part of the memory limit of this control group; empty if there is no limit."""
    group = "/sys/fs/cgroup/memory"
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (f"{group}/memory.limit_in_bytes", f"{group}/memory.usage_in_bytes"),
    ):
        try:
            with open(limit, encoding="ascii") as most, open(used, encoding="ascii") as now:
                return [max(0, int(most.read()) - int(now.read()))]
        except (OSError, ValueError):  # the file is missing, or says "max"
            continue
    return []


def _half_of_memory() -> int | None:
    if os.name == "nt":
        import ctypes  # only Windows needs it

        kilobytes = ctypes.c_ulonglong()
        windows = ctypes.windll.kernel32  # type: ignore[attr-defined, unused-ignore]
        known = windows.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes))
        return kilobytes.value * 1024 // 2 if known else None
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError):
        return None
