"""Reading a CT from DICOM files."""

from __future__ import annotations

from pathlib import Path

from .ct import CTVolume
from .errors import UnusableInput

PREAMBLE_BYTES = 128


def is_dicom_file(path: Path) -> bool:
    """True if ``path`` is a DICOM file by its first 132 bytes (DICOM PS3.10, 7.1)."""
    with path.open("rb") as file:
        return file.read(PREAMBLE_BYTES + 4)[PREAMBLE_BYTES:] == b"DICM"


def read_dicom(path: Path, *, series: str | None = None) -> CTVolume:
    """The CT series in a folder."""
    raise UnusableInput(f"{path} is DICOM, which is not read yet; convert it to NIfTI.")
