"""JSON files: safe reading of those from outside the program, and one way to write our own.

When a file is read, size and nesting are bounded, and constants that are not part of JSON (NaN, Infinity) are refused
unless the caller allows them.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from .texts import bounded, printable

MOST_BYTES = 64 * 1024**2
"""Largest file size in bytes. A summary.json with 10,000 lesions takes 20 MB."""

LONGEST_REASON = 200
"""Largest number of characters that a message quotes from an exception's text."""


LONGEST_NUMBER = 20
"""Largest number of characters of a number in a message."""


def read_json(path: Path, *, nan: bool = False) -> Any:
    """Return the content of the JSON file at ``path``.

    Args:
        path: A regular file; anything else is refused.
        nan: Whether to accept NaN and Infinity in the form in which Python writes them.

    Raises:
        ValueError: If the file is not JSON, too large or nested too deeply; the message is short.
        OSError: If the file cannot be read.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is not a regular file")
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES // 1024**2} MB")
    try:
        return json.loads(data.decode("utf-8"), parse_float=_number, parse_constant=None if nan else _refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
    except ValueError as error:
        raise ValueError(reason(error)) from error


def write_json(path: Path, values: Any) -> None:
    """Write values as JSON: UTF-8, indented by two spaces.

    A number that is NaN or infinite becomes null, because JSON has none. Half a character, as in a path that is not
    valid text, becomes its escape. For a file that must appear only when it is complete, ``path`` is the temporary one
    (see ``complete_files``).

    Args:
        path: The file.
        values: Dictionaries, lists, texts, numbers, Booleans and None.

    Raises:
        OSError: If the file cannot be written.
    """
    text = json.dumps(_finite(values), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(f"{text}\n", encoding="utf-8", errors="backslashreplace", newline="\n")


def _finite(values: Any) -> Any:
    """Return values in which each number that is NaN or infinite is None."""
    if isinstance(values, dict):
        return {name: _finite(each) for name, each in values.items()}
    if isinstance(values, list | tuple):
        return [_finite(each) for each in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def reason(error: BaseException) -> str:
    """Return an exception's text as one short, printable line that can be quoted in an error message."""
    return bounded(printable(" ".join(str(error).split())), LONGEST_REASON)


def _number(text: str) -> float:
    """Return a number with a fraction or an exponent; 1e999, which Python would take for infinity, is refused."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {bounded(text, LONGEST_NUMBER)} is too large")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")
