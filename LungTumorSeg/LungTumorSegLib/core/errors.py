"""The two ways in which a run can end for a reason the user can act on; the command line turns each into its exit code."""

from __future__ import annotations

PACKAGE_REMEDY = "install it with pip (in Slicer: press Segment again and accept the installation)"


class UnusableInput(ValueError):
    """The input or an argument cannot be used; the message is one sentence that says what is wrong and what to do (exit code 2)."""


class MachineLimit(RuntimeError):
    """The machine cannot do what was asked: memory, disk, device, damaged weights or a missing package (exit code 3)."""
