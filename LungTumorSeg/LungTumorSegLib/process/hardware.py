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
