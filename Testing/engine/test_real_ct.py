"""The command line on real CT: as the file it came in, and as a DICOM series made from it, plain and compressed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dicom_series import write_dicom_series
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import read_ct, read_volume
from LungTumorSegLib.io.segmentations import read_segmentation
from LungTumorSegLib.results.mark import MARK_FILE
from pydicom.uid import ExplicitVRLittleEndian, RLELossless
from result_files import lesions_in

pytestmark = [pytest.mark.real_ct, pytest.mark.slow]

WHOLE_CHESTS = ["lidc_0001", "lidc_0003", "4dlung_113", "lung1_001", "nsclc_rg_r01_001"]
PARTIAL_CHESTS = ["ts_example_3mm", "ibsi1_phantom"]
TRANSFER_SYNTAXES = {"plain": ExplicitVRLittleEndian, "RLE": RLELossless}

RESULT_FILES = {
    MARK_FILE,
    "segmentation.seg.nrrd",
    "lesions.csv",
    "summary.json",
    "probability.nrrd",
    "disagreement.nrrd",
}
LUNGS_ML = (1500.0, 9000.0)
"""Both lungs of an adult, however sick, in a scan that holds them whole."""

HEADER_TOLERANCE_MM = 1e-3
"""NIfTI states the grid in single precision."""

TABLE_TOLERANCE = 1e-3
"""Relative, and in the column's unit near 0.

Headers round the grid differently (single precision, 16 decimal characters), so that the network's input differs in the
last digits and a voxel at the threshold may fall to the other side."""


def run(command: str, source: Path, output: Path, *options: str) -> dict:
    """Runs a command and returns the JSON file that it left."""
    arguments = [sys.executable, "-m", "LungTumorSegLib", command, str(source), "-o", str(output), *options]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    name = {"segment": "summary.json", "isolate": "isolation.json"}[command]
    return json.loads((output / name).read_text(encoding="utf-8"))


def the_same(first: str, second: str) -> bool:
    """Equal texts, or numbers that differ by rounding."""
    try:
        return float(second) == pytest.approx(float(first), rel=TABLE_TOLERANCE, abs=TABLE_TOLERANCE)
    except ValueError:
        return first == second


@pytest.fixture(scope="module", params=WHOLE_CHESTS)
def a_chest(request, real_ct_folder, tmp_path_factory) -> tuple[Path, Path]:
    """The CT's file and the results of ``segment``."""
    path = real_ct_folder / request.param / "ct.nii.gz"
    output = tmp_path_factory.mktemp(request.param) / "results"
    run("segment", path, output)
    return path, output


def test_a_real_chest_gives_all_files_on_its_own_grid(a_chest):
    path, output = a_chest
    assert {file.name for file in output.iterdir()} == {*RESULT_FILES, "spread.png", "report.html"}
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    assert LUNGS_ML[0] < sum(summary["lungs"].values()) < LUNGS_ML[1]
    rows = lesions_in(output)
    segments = read_segmentation(output / "segmentation.seg.nrrd")
    assert [segment.name for segment in segments] == ["Left lung", "Right lung", *(row["segment"] for row in rows)]
    assert {row["side"] for row in rows} <= {"Left", "Right"}
    ct = read_ct(path)
    for volume in (
        segments[0].mask,
        read_volume(output / "probability.nrrd"),
        read_volume(output / "disagreement.nrrd"),
    ):
        assert volume.same_grid(ct, tolerance_mm=HEADER_TOLERANCE_MM)


def test_the_lungs_of_a_real_chest_lie_on_their_sides(a_chest):
    left, right = (segment.mask for segment in read_segmentation(a_chest[1] / "segmentation.seg.nrrd")[:2])
    assert (
        _center_x_mm(left) > _center_x_mm(right) + 50
    )  # LPS: x grows to the patient's left; the mediastinum is wider than 5 cm


def _center_x_mm(mask: Volume) -> float:
    return float(mask.index_to_lps(np.argwhere(mask.array).mean(axis=0))[0])


@pytest.mark.parametrize("coding", TRANSFER_SYNTAXES)
def test_its_dicom_series_gives_the_same_lesions(a_chest, coding, tmp_path):
    path, output = a_chest
    write_dicom_series(read_ct(path), tmp_path / "series", transfer_syntax=TRANSFER_SYNTAXES[coding])
    summary = run("segment", tmp_path / "series", tmp_path / "results", "--no-picture")
    assert {file.name for file in (tmp_path / "results").iterdir()} == RESULT_FILES  # no ct.nrrd: nothing was resampled
    assert summary["warnings"] == json.loads((output / "summary.json").read_text(encoding="utf-8"))["warnings"]
    expected, found = lesions_in(output), lesions_in(tmp_path / "results")
    assert [row["segment"] for row in found] == [row["segment"] for row in expected]
    for row, other in zip(expected, found, strict=True):
        differing = {name: (row[name], other[name]) for name in row if not the_same(row[name], other[name])}
        assert not differing, row["segment"]


@pytest.mark.parametrize("name", PARTIAL_CHESTS)
def test_a_part_of_a_chest_is_isolated_with_a_warning(real_ct_folder, name, tmp_path):
    path = real_ct_folder / name / "ct.nii.gz"
    record = run("isolate", path, tmp_path / "results")
    assert {file.name for file in (tmp_path / "results").iterdir()} == {
        MARK_FILE,
        "isolation.seg.nrrd",
        "isolated.nrrd",
        "isolation.json",
    }
    ct = read_ct(path)
    segments = read_segmentation(tmp_path / "results" / "isolation.seg.nrrd")
    assert [segment.name for segment in segments] == ["Body", "Left lung", "Right lung", "Isolation mask"]
    assert all(segment.mask.same_grid(ct, tolerance_mm=HEADER_TOLERANCE_MM) for segment in segments)
    assert len(record["spine_axis_lps"]) == ct.canonical_axes().apply(ct).shape[0]
    assert any("CT cuts off the lungs" in warning for warning in record["warnings"]), record["warnings"]
