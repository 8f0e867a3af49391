"""Writes docs/reference/command-line.md from the parser itself: ``python Testing/tools/write_command_reference.py``."""

from __future__ import annotations

import argparse
from pathlib import Path

from LungTumorSegLib.commands.parser import build_parser

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "command-line.md"

HEAD = """# Command line

<!-- Written by Testing/tools/write_command_reference.py; a test compares it with the program. -->

`lungtumorseg` is the same as `python -m LungTumorSegLib`. Arguments may stand in any order.
Options that are not given come from the model's manifest. Exit codes and events: [Exit codes and messages](messages.md).
"""  # noqa: E501


def page() -> str:
    """Return the page: one section per command with its arguments, defaults and examples."""
    parser = build_parser()
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return "\n".join([HEAD, *(_section(name, command) for name, command in commands.choices.items())])


def _section(name: str, command: argparse.ArgumentParser) -> str:
    positional = [action for action in command._actions if not action.option_strings]
    optional = [action for action in command._actions if action.option_strings and action.dest != "help"]
    usage = " ".join(["lungtumorseg", name, *(str(action.metavar) for action in positional)])
    required = "".join(f" {action.option_strings[0]} {action.metavar}" for action in optional if action.required)
    rows = [f"| {_call(action)} | {_text(action)} |" for action in (*positional, *optional)]
    examples = [line.strip() for line in (command.epilog or "").splitlines()[1:]]
    return "\n".join(
        [
            f"## {name}\n",
            f"{command.description}\n",
            f"```\n{usage}{required} [options]\n```\n",
            "| argument | meaning |",
            "|---|---|",
            *rows,
            "",
            *(["For example:\n", "```", *examples, "```\n"] if examples else []),
        ]
    )


def _call(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar}`"
    metavar = action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar or ())
    if action.choices:
        metavar = "\\|".join(map(str, action.choices))
    names = ", ".join(f"`{name}`" for name in action.option_strings)
    return f"{names} `{metavar}`" if metavar else names


def _text(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
