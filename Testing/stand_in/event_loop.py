"""Slicer's event loop in its effect on Python threads.

Slicer's main thread holds Python's interpreter lock while it waits for events. Other Python threads therefore stop
until Python code in the main thread releases the lock, for example in a timer's callback that sleeps. PySide6 releases
the lock while it waits, which would hide such delays from the tests.
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
"""Interval at which the loop processes events."""

HANDED_BACK_SECONDS = 1e-6
"""Python's switch interval while PySide6 processes events, so that the main thread regains the lock at once."""


def idle(seconds: float) -> None:
    """Wait without processing events and without releasing the interpreter lock.

    No other Python thread advances; compiled code that does not hold the lock does.
    """
    if os.name == "nt":
        ctypes.PyDLL("kernel32").Sleep(round(1000 * seconds))
    else:
        ctypes.PyDLL(None).usleep(round(1e6 * seconds))


def run_until(condition: Callable[[], Value], seconds: float) -> Value:
    """Run Slicer's event loop until the condition holds.

    Args:
        condition: Called after events were processed.
        seconds: Longest time to wait.

    Returns:
        The value of the condition.

    Raises:
        TimeoutError: The condition did not hold in time.
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
