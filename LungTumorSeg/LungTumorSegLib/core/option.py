"""What an option of a run is: name, default, range, label, help, and how it becomes an argument."""

from __future__ import annotations

import math
import numbers
from argparse import ArgumentParser, BooleanOptionalAction
from dataclasses import dataclass
from typing import Any

from .errors import UnusableInput
from .texts import quoted


@dataclass(frozen=True)
class Thresholds:
    """The two-step threshold on the tumor probability.

    The defaults are those of the paper (Najeeb & Bhuiyan 2022).

    Attributes:
        gate: Slice threshold: a slice is kept if its maximum probability exceeds it.
        voxel: Voxel threshold: in kept slices, a voxel is tumor if its probability exceeds it.

    Raises:
        UnusableInput: Unless 0 < voxel threshold <= slice threshold < 1.
    """

    gate: float = 0.7
    voxel: float = 0.5

    def __post_init__(self) -> None:
        if not all(_is_number(value) for value in (self.gate, self.voxel)) or not 0 < self.voxel <= self.gate < 1:
            raise UnusableInput(
                "The thresholds must satisfy 0 < voxel threshold <= slice threshold < 1, but the voxel threshold is "
                f"{quoted(self.voxel)} and the slice threshold {quoted(self.gate)}."
            )
        object.__setattr__(self, "gate", float(self.gate))  # summary.json cannot hold a number of numpy
        object.__setattr__(self, "voxel", float(self.voxel))


@dataclass(frozen=True)
class Option:
    """One option of a run.

    Attributes:
        name: Name of the field in ``SegmentOptions``, and key under ``options`` in summary.json.
        kind: Type of the value: str, int, float, bool or Thresholds.
        default: Value if the user chooses none; None means that the model's manifest decides.
        label: Name in the panel, and subject of messages about the option.
        help: One line: what the option is, and what a higher or lower value does.
        choices: The allowed words, if they are few.
        minimum: Smallest allowed number.
        maximum: Largest allowed number.
        metavar: Placeholder for the value in the help of the command line.
        parameters: Fields of the module's parameter node that hold the value; empty if the panel does not offer the
            option.
    """

    name: str
    kind: type
    default: Any
    label: str
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    metavar: str | tuple[str, ...] | None = None
    parameters: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """Return the name on the command line, such as ``--min-lesion-ml``."""
        return f"--{self.name.replace('_', '-')}"

    def checked(self, value: Any) -> Any:
        """Return an allowed value, a number of numpy as one of Python; None is allowed if a manifest decides.

        Raises:
            UnusableInput: If the value is not allowed; the message states label and range.
        """
        if value is None and self.default is None:
            return None
        if not self._is_possible(value):
            raise UnusableInput(f"{self.label} must be {self._range}, not {quoted(value)}.")
        return self.kind(value) if self.kind in (int, float) else value

    def arguments(self, value: Any) -> list[str]:
        """Return ``value`` as arguments of ``lungtumorseg segment``; an empty list if it is the default."""
        if value is None or value == self.default:
            return []
        if self.kind is bool:
            return [self.flag if value else self.flag.replace("--", "--no-", 1)]
        values = (value.gate, value.voxel) if isinstance(value, Thresholds) else (value,)
        return [self.flag, *map(str, values)]

    def add_to(self, parser: ArgumentParser, usual: Any) -> None:
        """Add the option to the parser of a command.

        Args:
            parser: The parser.
            usual: The value that the help states as the default.
        """
        settings: dict[str, Any] = {
            "help": f"{self.help} (default: {_in_words(usual)})".replace("%", "%%"),
            "dest": self.name,
        }
        if self.kind is bool:
            parser.add_argument(self.flag, action=BooleanOptionalAction, **settings)
        elif self.choices:
            parser.add_argument(self.flag, choices=self.choices, **settings)
        elif self.kind is Thresholds:
            parser.add_argument(self.flag, type=float, nargs=2, metavar=self.metavar, **settings)
        else:
            parser.add_argument(self.flag, type=self.kind, metavar=self.metavar, **settings)

    def _is_possible(self, value: Any) -> bool:
        if self.choices:
            return isinstance(value, str) and value in self.choices
        if self.kind not in (int, float):
            return isinstance(value, self.kind)
        if not _is_number(value) or (self.kind is int and not isinstance(value, numbers.Integral)):
            return False
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)

    @property
    def _range(self) -> str:
        if self.choices:
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
        if self.kind in (int, float):
            return f"a {'whole ' if self.kind is int else ''}number from {self.minimum:g} to {self.maximum:g}"
        return {bool: "True or False", str: "text", Thresholds: "two numbers, slice threshold and voxel threshold"}[
            self.kind
        ]


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value.gate:g} {value.voxel:g}" if isinstance(value, Thresholds) else str(value)
