"""Open regular files and nothing else: a pipe could block forever, and a device may never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from ..core.errors import UnusableInput
from ..core.messages import does_not_exist, unreadable

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
        UnusableInput: If the file is missing, not a regular file, or not readable.
    """
    check_regular(path)
    try:
        return path.open("rb")
    except OSError as error:
        raise UnusableInput(_cannot_be_read(path, error)) from error


def check_regular(path: Path) -> None:
    """Check that ``path`` is a regular file or a link to one; nothing is opened.

    Raises:
        UnusableInput: If it is something else, or cannot be reached.
    """
    mode = existing_mode(path)
    if not stat.S_ISREG(mode):
        kind = next((name for matches, name in KINDS if matches(mode)), "not a regular file")
        raise UnusableInput(f"{path} is {kind}; choose a regular file.")


def existing_mode(path: Path) -> int:
    """Return the mode of the file to which ``path`` leads.

    Raises:
        UnusableInput: If there is no such file, or it cannot be reached.
    """
    try:
        return path.stat().st_mode
    except (OSError, ValueError) as error:
        if os.path.islink(path):
            raise UnusableInput(f"{path} is a link to a file that does not exist; choose the file itself.") from error
        raise UnusableInput(_cannot_be_read(path, error)) from error


def check_encodable(path: str | os.PathLike[str]) -> None:
    """Check that the name of an output is valid UTF-8, which native writers and JSON need.

    Raises:
        UnusableInput: If it is not.
    """
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnusableInput(
            f"The name of the output {path} is not valid UTF-8; choose a folder, or rename it, with plain characters "
            "only."
        ) from error


def _cannot_be_read(path: Path, error: OSError | ValueError) -> str:
    if not isinstance(error, OSError) or error.errno in (errno.ENOENT, errno.ENOTDIR):
        return does_not_exist(path)
    return unreadable(path, error)
