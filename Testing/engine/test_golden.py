"""The shipped model on two CTs gives what it gave before; a change must be meant, and named in the changelog."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from golden import FOLDER, describe
from LungTumorSegLib.phantom import make_phantom, write_phantom

COMMAND = [sys.executable, "-m", "LungTumorSegLib"]
pytestmark = pytest.mark.slow

SAME = {"volume_ml": 0.02, "long_axis_mm": 0.02, "short_axis_mm": 0.02, "confidence": 0.01, "mean_hu": 0.05}
"""Relative differences that processors and precisions make: bfloat16 against float32."""


def segmented(ct: Path, folder: Path) -> dict:
    """Segment with the shipped settings, as the golden run did."""
    run = [*COMMAND, "segment", str(ct), "-o", str(folder), "--precision", "float32", "--no-picture"]
    subprocess.run(run, check=True, capture_output=True)
    return describe(folder)


def compare(found: dict, name: str) -> None:
    golden = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    for key, value in golden["summary"]["lungs"].items():
        assert found["summary"]["lungs"][key] == pytest.approx(value, rel=1e-3)
    for key in ("model", "weights_sha256", "warnings", "message"):
        assert found["summary"][key] == golden["summary"][key]
    assert [(row["segment"], row["side"]) for row in found["lesions"]] == [
        (row["segment"], row["side"]) for row in golden["lesions"]
    ]
    for row, expected in zip(found["lesions"], golden["lesions"], strict=True):
        for column, share in SAME.items():
            assert float(row[column]) == pytest.approx(float(expected[column]), rel=share), column
        for axis in "xyz":
            column = f"centroid_{axis}_lps_mm"
            assert float(row[column]) == pytest.approx(float(expected[column]), abs=0.2), column
    for segment, expected in golden["segments"].items():
        assert found["segments"][segment]["voxels"] == pytest.approx(expected["voxels"], rel=0.02), segment


def test_a_phantom(tmp_path):
    write_phantom(make_phantom(7005), tmp_path / "phantom")
    compare(segmented(tmp_path / "phantom" / "ct.nii.gz", tmp_path / "result"), "phantom_7005")


@pytest.mark.real_ct
def test_a_real_ct(real_ct_folder, tmp_path):
    compare(segmented(real_ct_folder / "lidc_0003" / "ct.nii.gz", tmp_path / "result"), "lidc_0003")
