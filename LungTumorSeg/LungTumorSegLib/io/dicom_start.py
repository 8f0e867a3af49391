"""Recognize a DICOM file by its first bytes, without importing pydicom, which takes a third of a second."""

from __future__ import annotations

import errno
import stat
import struct
from pathlib import Path

PREAMBLE_BYTES = 128

START_BYTES = 1024
"""Number of bytes that are checked before pydicom reads the file.

They contain the preamble and the transfer syntax, which lies in group 2 within the first kilobyte.
"""

FIRST_GROUPS = (0x0002, 0x0008)
"""A data set without preamble begins with one of these groups: file meta information or identification."""

VALUE_REPRESENTATIONS = frozenset(
    b"AE AS CS DA DS DT IS LO LT OB OW PN SH SQ ST TM UI UL UN US UT".split()
)  # those in groups 2 and 8

LONGEST_FIRST_VALUE = 4096
"""Largest length in bytes of a data set's first value; a file that states more is not DICOM."""


def is_dicom_file(path: Path) -> bool:
    """Return whether ``path`` is a regular file that begins like a DICOM file (PS3.10, section 7.1).

    Files without preamble or without group 2 count too.

    Raises:
        OSError: If the file cannot be opened.
    """
    return leads_to_regular_file(path) and begins_as_dicom(start_of(path))


def leads_to_regular_file(path: Path) -> bool:
    """Return whether ``path`` leads to a regular file, which opens without blocking (no pipe, socket or device)."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise


def start_of(path: Path) -> bytes:
    """Return the first ``START_BYTES`` bytes of a file."""
    with path.open("rb") as file:
        return file.read(START_BYTES)


def begins_as_dicom(start: bytes) -> bool:
    """Return whether a file with these first bytes is DICOM."""
    if start[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == b"DICM":
        return True
    if len(start) < PREAMBLE_BYTES:
        return False
    group, _, length = struct.unpack_from("<HHI", start)
    if group not in FIRST_GROUPS:
        return False
    if start[4:6] in VALUE_REPRESENTATIONS:
        return True
    return bool(0 < length <= LONGEST_FIRST_VALUE and length % 2 == 0)
