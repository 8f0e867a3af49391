"""The state of each item on disk: what was started, and how it ended.

The hidden folder ``.batch`` of a cohort holds one folder per case with the file ``record.json``. A process locks that
folder while it works on the case, so that several batches, or several workers, never compute the same CT twice.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .. import __version__
from ..core.complete_files import complete_file
from ..core.json_files import write_json
from ..results.mark import read_json_object

RECORDS_FOLDER = ".batch"
RECORD_FILE = "record.json"

STARTED, DONE, REFUSED, FAILED = "started", "done", "refused", "failed"
"""States: in work or interrupted; has a result; cannot be used; was prevented by the machine."""

WAITING = "waiting"
"""State of an item, before anything is known about it; no record on disk has it."""


@dataclass(frozen=True)
class Record:
    """The state of one item.

    Attributes:
        state: One of the states above.
        key: Checksum of the input, the options and the model.
        reason: Why there is no result, as one sentence; "" if there is one.
        run: Before the end, identifier of the run that last wrote into the result folder; "" if there was none.
        input_sha256: Checksum of the input; "" if it could not be read.
        software_version: Version that made the record.
        path: Path of the CT; "" if it is unknown.
    """

    state: str
    key: str = ""
    reason: str = ""
    run: str = ""
    input_sha256: str = ""
    software_version: str = __version__
    path: str = ""

    def write(self, folder: Path) -> None:
        """Write the record into the locked folder of the case.

        Raises:
            MachineLimit: If it cannot be written.
        """
        with complete_file(folder / RECORD_FILE) as unfinished:
            write_json(unfinished, asdict(self))


def read_record(folder: Path) -> Record:
    """Return the record in the folder of a case, or an empty record if the folder has no record."""
    values = read_json_object(folder / RECORD_FILE)
    names = {field.name for field in fields(Record)}
    is_record = names - {"path"} <= values.keys() <= names  # Older versions did not write the path.
    if not is_record or not all(isinstance(value, str) for value in values.values()):
        return Record("")
    return Record(**values)
