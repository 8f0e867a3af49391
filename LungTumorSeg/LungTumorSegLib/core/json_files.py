"""JSON from outside, read so that no content of a file can do harm: bounded, and without the constants that JSON does not have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from .texts import bounded, printable

MOST_BYTES = 64 * 1024**2
"""A summary.json of 10,000 lesions has 20 MB."""

LONGEST_REASON = 200
"""Characters of a parser's own words in a message."""


def read_json(path: Path, *, nan: bool = False) -> Any:
    """Return what the JSON file at ``path`` holds.

    Args:
        path: A regular file; anything else is refused.
        nan: Whether NaN and Infinity are accepted, as Python writes them.

    Raises:
        ValueError: Where it is no JSON, too large or nested too deeply; the message is short.
        OSError: Where it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is no regular file")
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES // 1024**2} MB")
    try:
        return json.loads(data.decode("utf-8"), parse_constant=None if nan else _refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is no UTF-8 text") from error
    except ValueError as error:
        raise ValueError(reason(error)) from error


def reason(error: BaseException) -> str:
    """Return an exception's text as one short, printable line, for use in a sentence of ours."""
    return bounded(printable(" ".join(str(error).split())), LONGEST_REASON)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
