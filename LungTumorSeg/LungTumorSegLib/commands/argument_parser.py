"""How a command line becomes options: parsers that refuse arguments like any other input, in any order.

Options may precede the command, and an option may take several values before the input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from ..core.dates import has_form_of_date
from ..core.errors import UnusableInput
from ..core.texts import quoted
from ..options import FORMATS
from ..process.progress import COMMAND_SHARES
from ..process.streams import say

NUMBERS: dict[Any, tuple[type, str]] = {int: (int, "a whole number"), float: (float, "a number such as 0.5")}
"""What a message calls a number, by the type of the argument."""


class Parser(argparse.ArgumentParser):
    """A parser that reports wrong arguments like any other unusable input.

    argparse itself would end the process without a message to the channel.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        settings = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False, **settings}
        super().__init__(*arguments, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise UnusableInput with the message."""
        self.print_usage(sys.stderr)
        raise UnusableInput(f"{self.prog}: {message}")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Return a value in its type; argparse itself would name the type in Python's words."""
        kind, what = NUMBERS.get(action.type, (str, ""))
        try:
            kind(arg_string)
        except ValueError as error:
            raise argparse.ArgumentError(action, f"must be {what}, not {quoted(arg_string)}") from error
        return super()._get_value(action, arg_string)


class CommandLineParser(Parser):
    """The parser of the whole command line.

    Options may precede the command, and lists of values may precede the input.
    """

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments as the base class does."""
        return super().parse_args(_one_value_each(_command_first(list(args or ()))), namespace)


class PrintCompletion(argparse.Action):
    """Print the completion script of a shell, then end."""

    def __call__(self, parser: argparse.ArgumentParser, _: Any, values: Any, __: str | None = None) -> NoReturn:
        """Print the script for the shell that ``values`` names.

        Raises:
            ImportError: If shtab is not installed.
        """
        from shtab import complete

        say(sys.stdout, complete(parser, shell=values) + "\n")
        parser.exit()


def _command_first(arguments: list[str]) -> list[str]:
    """Return the arguments with the command first; it may come later, as in ``lungtumorseg --quiet segment CT``."""
    place = next((i for i, argument in enumerate(arguments) if argument in COMMAND_SHARES), 0)
    return [*arguments[place : place + 1], *arguments[:place], *arguments[place + 1 :]]


def _one_value_each(arguments: list[str]) -> list[str]:
    """Return the arguments with one option per value of a list.

    Otherwise ``--margins 5 8 CT`` would take the CT for a margin.
    """
    rewritten: list[str] = []
    flag = None
    for place, argument in enumerate(arguments):
        if argument == "--":
            return [*rewritten, *arguments[place:]]
        if argument in LISTS and place + 1 < len(arguments) and LISTS[argument](arguments[place + 1]):
            flag = argument
        elif flag and LISTS[flag](argument):
            rewritten.append(f"{flag}={argument}")
        else:
            flag = None
            rewritten.append(argument)
    return rewritten


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


LISTS: dict[str, Callable[[str], bool]] = {
    "--margins": _is_number,
    "--format": FORMATS.__contains__,
    "--dates": has_form_of_date,
}
"""Options with several values, and the test that distinguishes a value from the next argument."""
