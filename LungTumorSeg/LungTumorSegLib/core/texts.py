"""Prepare text from outside the program, lists and changes for display.

No control character reaches a terminal, and no value makes a message arbitrarily long.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LONGEST_VALUE = 80
"""Largest number of characters of a value from outside that a message quotes."""

LONGEST_NAME = 240
"""Largest number of characters of a path that a message shows; most paths are shorter."""

MOST_ITEMS = 5
"""Largest number of list items that a message shows."""

LONGEST_MESSAGE = 2000
"""Largest number of characters of a whole message; a sentence of this program has at most a few hundred."""

UNSAFE_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of characters that control a terminal or reorder its text.

They are C0 and C1 control characters (ANSI sequences begin with one), bidirectional and other invisible format
characters, surrogates (bytes of a path that are not valid text), and line and paragraph separators.
"""

JOINERS = "\u200c\u200d"
"""Format characters that belong to the spelling of Persian and Indic names; they do not affect a terminal."""


def printable(text: str, *, keep: str = "") -> str:
    r"""Return ``text`` with each character that could control a terminal replaced by its escape, such as ``\x1b``.

    Args:
        text: Any text, for example a segment's name or a path.
        keep: Control characters to keep, such as a line break.
    """
    return "".join(
        character if character in keep or not _steers(character) else _escape(character) for character in text
    )


def quoted(value: Any) -> str:
    """Return a value from outside as a message quotes it: its ``repr``, printable and at most ``LONGEST_VALUE`` long.

    Large collections are summarized before formatting, so that a hostile file costs neither time nor memory here.
    """
    if isinstance(value, str | bytes):
        text = repr(value[: LONGEST_VALUE + 1])
    elif isinstance(value, dict | list | tuple | set):
        text = f"{type(value).__name__} of {len(value)}" if len(value) > 4 or _is_nested(value) else repr(value)
    elif isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 4 * LONGEST_VALUE:
        text = "a very long number"
    else:
        text = repr(value)
    return bounded(printable(text), LONGEST_VALUE)


def bounded(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Return ``text``, with its middle replaced by " ... " if it has more than ``longest`` characters."""
    if len(text) <= longest:
        return text
    half = (longest - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


def shown(value: object, longest: int = LONGEST_NAME) -> str:
    """Return a path or a text from outside as a message shows it without quotes: one printable, bounded line."""
    return bounded(printable(bounded(str(value), longest)), longest)


def shown_last(path: Path) -> str:
    """Return a path as ``shown`` does, for the end of a sentence, whose period must not turn "." into ".."."""
    return shown(path.resolve() if path.name in ("", "..") else path)


def listed(
    items: Sequence[object], *, separator: str = ", ", most: int = MOST_ITEMS, longest: int = LONGEST_NAME
) -> str:
    """Return the first ``most`` of ``items`` as one line, followed by the number of remaining items.

    Args:
        items: The items to list.
        separator: Text between two items.
        most: Largest number of items to show.
        longest: Largest number of characters per item.
    """
    line = separator.join(shown(item, longest) for item in items[:most])
    return line if len(items) <= most else f"{line}{separator}and {len(items) - most} more"


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, which gets an "s" unless the number is 1."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _is_nested(value: Any) -> bool:
    items = (*value.keys(), *value.values()) if isinstance(value, dict) else tuple(value)
    return any(isinstance(item, dict | list | tuple | set) for item in items)


def _steers(character: str) -> bool:
    return unicodedata.category(character) in UNSAFE_CATEGORIES and character not in JOINERS


def _escape(character: str) -> str:
    return character.encode("unicode_escape", errors="backslashreplace").decode("ascii")


def percent(share: float) -> str:
    """Return a probability, 0 to 1, in whole percent; one that is not 0 or 1 is never rounded to 0% or 100%."""
    if 0 < share < 0.005:
        return "below 1%"
    return "above 99%" if 0.995 <= share < 1 else f"{share:.0%}"


def signed(value: float, digits: int = 0) -> str:
    """Return a change with its sign; what rounds to 0 has none."""
    text = f"{value:+.{digits}f}"
    return text if text.strip("+-0.") else text[1:]
