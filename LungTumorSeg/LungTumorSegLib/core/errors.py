"""Errors that the user can act on, and the exit code of each.

The command line turns each exception into its exit code. The Slicer module turns the exit code of its child process
back into the exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .texts import shown

UNUSABLE, MACHINE, CANCELLED = 2, 3, 130
"""Exit codes of ``lungtumorseg``.

2 means unusable input or arguments, 3 a limit of the machine, and 130 a cancelled run. 0 means success; any other code
is a bug.
"""


class UnusableInput(ValueError):
    """The input or an argument cannot be used (exit code 2).

    The message is one sentence that says what is wrong and what to do.
    """


class ChoiceMissing(UnusableInput):
    """The input contains several CTs, and none was chosen (exit code 2).

    Attributes:
        option: Name of the option that chooses one.
        without_option: The message for callers that do not have the option.
    """

    def __init__(self, message: str, option: str, without_option: str) -> None:
        super().__init__(message)
        self.option, self.without_option = option, without_option


class SeveralPhases(ChoiceMissing):
    """The input is a 4D CT, and none of its phases was chosen.

    Attributes:
        phases: What tells the phases apart, in their order; "" where the file does not say.
    """

    def __init__(self, path: Path, phases: Sequence[str], choice: str) -> None:
        stated = f" ({phases[0]} to {phases[-1]})" if phases[0] else ""
        problem = f"{shown(path)} is a 4D image of {len(phases)} phases{stated}"
        super().__init__(f"{problem}; {choice}.", "phase", f"{problem}; give one phase as a 3D image.")
        self.phases = tuple(phases)


class MachineLimit(RuntimeError):
    """The machine cannot do what was requested (exit code 3).

    The reason is memory, disk space, the device, damaged weights or a missing package.
    """
