"""Opening what is a file, and nothing else: a pipe would wait for ever, a device never ends."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from ..core.errors import UnusableInput

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(path: Path) -> BinaryIO:
    """Open ``path`` for reading bytes; links are followed.

    Raises:
        UnusableInput: if it is missing, not a regular file, or may not be read.
    """
    check_regular(path)
    try:
        return path.open("rb")
    except OSError as error:
        raise UnusableInput(_cannot_be_read(path, error)) from error


def check_regular(path: Path) -> None:
    """Raise UnusableInput unless ``path`` is a regular file or a link to one; nothing is opened."""
    mode = existing_mode(path)
    if not stat.S_ISREG(mode):
        kind = next((name for matches, name in KINDS if matches(mode)), "no regular file")
        raise UnusableInput(f"{path} is {kind}; give an image file.")


def existing_mode(path: Path) -> int:
    """Return the mode of what ``path`` leads to; raises UnusableInput if that is nothing, or out of reach."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError) as error:
        if os.path.islink(path):
            raise UnusableInput(f"{path} is a link to nothing; give the file itself.") from error
        raise UnusableInput(_cannot_be_read(path, error)) from error


def check_encodable(path: str | os.PathLike[str]) -> None:
    """Raise UnusableInput where the name of an output is no valid text: native writers and JSON cannot take it."""
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnusableInput(
            f"The name of the output {path} is not valid UTF-8; choose or rename the folder to one of plain characters."
        ) from error


def _cannot_be_read(path: Path, error: OSError | ValueError) -> str:
    if not isinstance(error, OSError) or error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"{path} does not exist; check the path."
    return f"{path} cannot be read ({error.strerror}); check its permissions."
