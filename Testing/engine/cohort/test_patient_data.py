"""Patient data of DICOM CTs: in the DICOM objects of a batch, and nowhere else."""

from __future__ import annotations

import subprocess
import sys

import pytest
from dicom_series import write_dicom_series
from LungTumorSegLib.phantom import LesionSpec, PhantomOptions, make_phantom
from LungTumorSegLib.report.pdf import find_browser
from patients import leaks, leaks_in, with_patient

DICOM_FILES = {"segmentation.dcm", "measurements.dcm", "rtstruct.dcm"}


@pytest.mark.slow
def test_no_output_of_a_batch_except_dicom_objects_holds_patient_data(a_bright_model, tmp_path):
    coarse = {"spacing_mm": (4.0, 3.0, 3.0), "height_mm": (-75.0, 30.0)}
    lesion = LesionSpec("solid", 25.0, "lung", "left")
    ct = make_phantom(7301, PhantomOptions(**coarse, lesions=(lesion,), distractors=(), couch="none")).ct
    write_dicom_series(ct, tmp_path / "cts" / "one", edit=with_patient)
    write_dicom_series(ct, tmp_path / "cts" / "too short", edit=with_patient, skip=tuple(range(3, ct.shape[0])))
    output = tmp_path / "out"
    options = ["--model", a_bright_model, "--threads", "1", "--margins", "5", "--surfaces", "--pdf", "--verbose"]
    command = ["batch", tmp_path / "cts", "-o", output, *options, "--format", "dicom", "nifti", "stl"]
    done = subprocess.run([sys.executable, "-m", "LungTumorSegLib", *map(str, command)], capture_output=True)
    assert done.returncode == 0, done.stderr
    files = [path for path in output.rglob("*") if path.is_file()]
    assert {path.name for path in files if leaks(path)} == DICOM_FILES
    assert leaks_in(done.stdout + done.stderr) == []
    expected = {"cohort.csv", "lesions.csv", "overview.html", "report.html", "record.json", "margins.seg.nrrd"}
    expected |= {"report.pdf"} if find_browser() else set()
    assert expected <= {path.name for path in files}
