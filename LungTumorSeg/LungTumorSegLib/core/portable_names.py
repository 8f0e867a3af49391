"""Make names of files and folders, valid on every system, from texts of the user or of a file."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST_NAME = 80
"""Largest number of characters of a name, without a suffix."""

RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows reserves for devices."""


def portable_name(text: str, kind: str) -> str:
    """Return a text as a name that a file or folder can have on every system, and that leads to no other folder.

    Args:
        text: The text.
        kind: What is named, such as "case"; it precedes a name that would otherwise be empty or reserved.
    """
    name = re.sub(r"[^\w.-]+", "_", text)[:LONGEST_NAME].strip("._-")
    return f"{kind}_{name}".rstrip("_") if not name or RESERVED.fullmatch(name) else name


def distinct_names(texts: Iterable[str], kind: str) -> list[str]:
    """Return a name for each text, as ``portable_name`` does, all distinct without regard to case."""
    names: list[str] = []
    taken: set[str] = set()
    for text in texts:
        name = first = portable_name(text, kind)
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{first}_{number}"
        names.append(name)
        taken.add(name.casefold())
    return names
