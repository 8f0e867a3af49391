"""The ways in which a run can end for a reason the user can act on, and the exit code of each.

The command line turns each exception into its exit code; the module turns the code of its child process back into the exception.
"""

from __future__ import annotations

UNUSABLE, MACHINE, CANCELLED = 2, 3, 130
"""Exit codes of ``lungtumorseg``: unusable input or arguments, the machine cannot, cancelled. 0 is done; others are bugs."""

PACKAGE_REMEDY = "install it with pip (in Slicer: press Segment again and accept the installation)"

OUT_OF_MEMORY = "The memory does not suffice; close other programs or crop the CT to the chest."


class UnusableInput(ValueError):
    """The input or an argument cannot be used; the message is one sentence that says what is wrong and what to do (exit code 2)."""


class MachineLimit(RuntimeError):
    """The machine cannot do what was asked: memory, disk, device, damaged weights or a missing package (exit code 3)."""
