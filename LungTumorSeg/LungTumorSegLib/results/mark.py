"""The mark that a run leaves in its output folder.

The mark lists the files that LungTumorSeg wrote there, with their SHA-256 checksums. A later run replaces or removes
only files that the mark names and that have not changed since. The mark is the file ``.lungtumorseg.json``::

    {"program": "LungTumorSeg", "format": 1, "software_version": "0.1.0", "run": "5f0c...",
     "files": {"lesions.csv": {"group": "result", "sha256": "9b3e..."}, ...}}

``run`` differs for each run. ``group`` states which files belong together: the files of ``segment`` and ``measure``
form one group, those of ``isolate`` another.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .. import __version__
from ..core.json_files import read_json, write_json

MARK_FILE = ".lungtumorseg.json"
PROGRAM, FORMAT = "LungTumorSeg", 1

FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class MarkedFile:
    """A file as it was written.

    Attributes:
        group: The group to which the file belongs.
        sha256: SHA-256 of its content in hexadecimal digits.
    """

    group: str
    sha256: str


@dataclass(frozen=True)
class Mark:
    """The files that LungTumorSeg wrote into a folder.

    Attributes:
        run: Identifier of the last run; "" if there was none.
        files: Marked files by name.
    """

    run: str = ""
    files: Mapping[str, MarkedFile] = field(default_factory=dict)

    def names_of(self, group: str) -> set[str]:
        """Return the names of the files of one group."""
        return {name for name, file in self.files.items() if file.group == group}

    def proves(self, path: Path) -> bool:
        """Return whether LungTumorSeg wrote ``path``, a file in the marked folder, and it has not changed since."""
        file = self.files.get(path.name)
        return file is not None and is_regular(path) and fingerprint(path) == file.sha256

    def write(self, path: Path) -> None:
        """Write the mark as JSON.

        Raises:
            OSError: If the file cannot be written.
        """
        files = {name: asdict(file) for name, file in sorted(self.files.items())}
        values = {
            "program": PROGRAM,
            "format": FORMAT,
            "software_version": __version__,
            "run": self.run,
            "files": files,
        }
        write_json(path, values)


def read_mark(folder: Path) -> Mark | None:
    """Return the mark of a folder.

    Returns:
        The mark; an empty mark if the folder has none; None if a file with the mark's name was not written by
        LungTumorSeg.
    """
    path = folder / MARK_FILE
    if not os.path.lexists(path):
        return Mark()
    values = read_json_object(path)
    if values.get("program") != PROGRAM or values.get("format") != FORMAT or not isinstance(values.get("run"), str):
        return None
    files = values.get("files")
    if not isinstance(files, dict) or not all(_is_entry(name, entry) for name, entry in files.items()):
        return None
    return Mark(values["run"], {name: MarkedFile(entry["group"], entry["sha256"]) for name, entry in files.items()})


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a regular file; an empty one if the file holds anything else or cannot be read."""
    try:
        values = read_json(path) if is_regular(path) else {}
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def exists(path: Path) -> bool:
    """Return whether something has the name ``path``, be it a link that leads nowhere.

    Raises:
        OSError: If the system does not answer; ``os.path.lexists`` would then say that nothing is there.
    """
    return _mode(path) != 0


def is_regular(path: Path) -> bool:
    """Return whether ``path`` exists and is a regular file: not a folder, link, pipe or device.

    Raises:
        OSError: If the system does not answer.
    """
    return stat.S_ISREG(_mode(path))


def _mode(path: Path) -> int:
    """Return type and permissions of a file; 0 if it does not exist."""
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's content, or of a link's target, in hexadecimal digits."""
    if path.is_symlink():
        return hashlib.sha256(os.fsencode(os.readlink(path))).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_entry(name: str, entry: Any) -> bool:
    return (
        is_plain_name(name)
        and isinstance(entry, dict)
        and isinstance(entry.get("group"), str)
        and isinstance(entry.get("sha256"), str)
        and FINGERPRINT.fullmatch(entry["sha256"]) is not None
    )


def is_plain_name(name: str) -> bool:
    """Return whether ``name`` is a file name without any path, and not the name of the mark itself."""
    return name not in ("", ".", "..", MARK_FILE) and not any(sign in name for sign in "/\\:\0")
