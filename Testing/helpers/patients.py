"""A patient whose data are easily recognized, and the search for them in the files of a result."""

from __future__ import annotations

import gzip
from pathlib import Path

import pydicom

PATIENT = {
    "PatientName": "Brontë^Zoë",
    "PatientID": "PID-77431",
    "PatientBirthDate": "19470311",
    "PatientSex": "F",
    "PatientComments": "allergic to quokkas",
    "OtherPatientIDsSequence": "XQ-5531",
    "AccessionNumber": "ACC-90210",
    "StudyDate": "20250917",
    "StudyID": "ST-4711",
    "ReferringPhysicianName": "Semmelweis^Ignaz",
}


def with_patient(dataset: pydicom.Dataset, _index: int) -> None:
    """Write the patient into the header of a slice."""
    dataset.SpecificCharacterSet = "ISO_IR 100"
    for keyword, value in PATIENT.items():
        if keyword == "OtherPatientIDsSequence":
            other = pydicom.Dataset()
            other.PatientID, other.TypeOfPatientID = value, "TEXT"
            dataset.OtherPatientIDsSequence = [other]
        else:
            setattr(dataset, keyword, value)


def leaks(path: Path) -> list[str]:
    """Return the values of the patient that a file contains, compressed or not."""
    content = path.read_bytes()
    if path.name.endswith(".nrrd"):
        content = content.partition(b"\n\n")[0]
    elif path.name.endswith(".gz"):
        content = gzip.decompress(content)
    elif path.name.endswith(".pdf"):
        content += _text_of_pdf(path).encode()
    return leaks_in(content)


def leaks_in(content: bytes) -> list[str]:
    """Return the values of the patient that a text in UTF-8 or Latin-1 contains; not the sex, a single letter."""
    texts = [value for keyword, value in PATIENT.items() if keyword != "PatientSex"]
    texts += PATIENT["PatientName"].split("^")
    return [text for text in texts if text.encode() in content or text.encode("latin-1") in content]


def _text_of_pdf(path: Path) -> str:
    import pypdf

    reader = pypdf.PdfReader(path)
    return "\n".join([str(reader.metadata), *(page.extract_text() for page in reader.pages)])
