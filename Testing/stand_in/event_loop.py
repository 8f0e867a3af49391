"""Slicer's event loop as Python threads meet it.

Slicer's main thread keeps Python's interpreter lock while it waits for events, so other Python threads stand still until Python code runs
in the main thread: a timer's callback that sleeps, for example. PySide6 gives the lock away instead, which hides such waits from tests.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import slicer

Value = TypeVar("Value")

TURN_SECONDS = 0.005
"""How long the loop waits between two looks at its events."""

HANDED_BACK_SECONDS = 1e-6
"""Python's switch interval while PySide6 looks at events, so that the main thread has the lock back at once."""


def idle(seconds: float) -> None:
    """Wait without events and without giving Python away: no other Python thread advances, compiled code without the lock does."""
    if os.name == "nt":
        ctypes.PyDLL("kernel32").Sleep(round(1000 * seconds))
    else:
        ctypes.PyDLL(None).usleep(round(1e6 * seconds))


def run_until(condition: Callable[[], Value], seconds: float) -> Value:
    """Run Slicer's event loop until the condition holds.

    Args:
        condition: called after each look at the events.
        seconds: how long to wait at most.

    Returns:
        What the condition gave.

    Raises:
        TimeoutError: where it did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"The condition did not hold within {seconds} s.")
        with _lock_handed_back_at_once():
            slicer.app.processEvents()
        idle(TURN_SECONDS)
    return value


@contextmanager
def _lock_handed_back_at_once() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(HANDED_BACK_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
