"""4D CTs in a cohort: one item per phase, and how the lesions move over the phases."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from four_d import write_4d, write_4d_dicom, write_4d_nrrd, write_phase_series
from LungTumorSegLib.cohort.discovery import find_items
from LungTumorSegLib.cohort.earlier_rows import earlier_rows
from LungTumorSegLib.cohort.items import Item
from LungTumorSegLib.cohort.motion import PHASE_COLUMNS, write_phases
from LungTumorSegLib.cohort.output_tables import Row, write_tables
from LungTumorSegLib.cohort.phases import series_of_phases, with_phases
from LungTumorSegLib.cohort.records import Record
from LungTumorSegLib.cohort.run_item import Task
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.phantom import LesionSpec, PhantomOptions, make_phantom
from LungTumorSegLib.results.contents import COHORT
from LungTumorSegLib.results.folder import complete_or_nothing
from LungTumorSegLib.results.replaceable_files import Output
from two_lungs import write_examination


def noise(seed: int) -> Volume:
    values = np.random.default_rng(seed).integers(-1000, 400, (12, 10, 14)).astype(np.int16)
    return Volume(values, np.diag([2.5, 0.75, 0.75, 1])[[2, 1, 0, 3]])


def test_every_phase_of_a_4d_ct_is_an_item(tmp_path):
    write_4d([noise(1), noise(2)], tmp_path / "lung.nii.gz")
    write_volume(noise(3), tmp_path / "other.nii.gz")
    write_4d_dicom([noise(4), noise(5)], tmp_path / "dicom", [20, 10], "TemporalPositionIdentifier")
    items = with_phases(find_items(tmp_path, tmp_path / "out"))
    assert [(item.case, item.phase, item.phase_number) for item in items] == [
        ("dicom_phase_00", "0", 0), ("dicom_phase_01", "1", 1),
        ("lung_phase_00", "0", 0), ("lung_phase_01", "1", 1), ("other", "", None),
    ]  # fmt: skip
    assert items[0].note == "TemporalPositionIdentifier 10"
    assert {path.parent.name for path in items[0].files} == {"1"}
    assert [len(group) for group in series_of_phases(items)] == [2, 2]
    commands = [Task(item, tmp_path / "out").command for item in items]
    assert [("--phase=1" in command, "--no-phases" in command) for command in commands] == [
        (False, False), (True, False), (False, False), (True, False), (False, True)
    ]  # fmt: skip


def test_every_phase_in_a_series_of_its_own_is_an_item_of_one_4d_ct(tmp_path):
    """Two 4D CTs of one patient lie in one folder, so only their studies tell them apart."""
    for study in "12":

        def of_study(dataset, number, study=study):
            dataset.StudyInstanceUID = f"1.2.9.{study}"
            dataset.SeriesInstanceUID = f"1.2.3.{study}.{number}"

        write_phase_series(
            [noise(1), noise(2)], tmp_path / "P1" / "ct" / study, ["Gated, 50.0%", "Gated, 0.0%"], of_study
        )
    write_4d_nrrd([noise(3), noise(4)], tmp_path / "P2.seq.nrrd")
    items = with_phases(find_items(tmp_path, tmp_path / "out"))
    assert [(item.patient, item.series, item.phase, item.note) for item in items] == [
        ("P1", "1.2.3.1.1", "0", "0%"), ("P1", "1.2.3.1.0", "1", "50%"),
        ("P1", "1.2.3.2.1", "0", "0%"), ("P1", "1.2.3.2.0", "1", "50%"),
        ("", "", "0", ""), ("", "", "1", ""),
    ]  # fmt: skip
    assert [{item.series[:7] for item in group} for group in series_of_phases(items)] == [
        {"1.2.3.1"},
        {"1.2.3.2"},
        {""},
    ]
    command = Task(items[0], tmp_path / "out").command
    assert "--series=1.2.3.1.1" in command
    assert "--no-phases" in command


def test_phases_that_a_table_lists_belong_together_by_patient_and_date():
    items = [Item(f"{n}", Path("/x"), patient, "2024", phase) for n, (patient, phase) in enumerate(
        [("A", "0%"), ("B", "0%"), ("A", "50%"), ("B", ""), ("A", "90%")])]  # fmt: skip
    assert [[item.case for item in group] for group in series_of_phases(items)] == [["0", "2", "4"]]


def test_phases_of_an_earlier_batch_belong_together_by_their_file(tmp_path):
    phases = [Item(f"{name}_phase_{n}", tmp_path / name, phase=f"{n}") for name in ("a.nii", "b.nii") for n in (0, 1)]
    with complete_or_nothing(Output(tmp_path / "out", COHORT)) as private:
        write_tables([Row(item, Record("refused", reason="It was refused.")) for item in phases], private)
    kept = [row.item for row in earlier_rows([], tmp_path / "out")]
    assert [[item.case for item in group] for group in series_of_phases(kept)] == [
        ["a.nii_phase_0", "a.nii_phase_1"],
        ["b.nii_phase_0", "b.nii_phase_1"],
    ]


def phase(folder: Path, number: int, balls: dict) -> Row:
    """Write the result of a phase; the lesions are balls with their center (LPS, mm) and radius (mm)."""
    item = Item(f"phase_{number:02d}", folder / "ct.nii", "P", phase=str(number), phase_number=number)
    write_examination(folder / item.case, balls)
    lesions = [
        {
            "segment": name, "side": "Left", "volume_ml": 4.18879e-3 * radius**3, "long_axis_mm": 2.0 * radius,
            **{f"centroid_{axis}_lps_mm": value for axis, value in zip("xyz", center, strict=True)},
        }
        for name, (center, radius) in balls.items()
    ]  # fmt: skip
    return Row(item, Record("done"), {"lesions": lesions})


def test_lesions_keep_their_names_while_they_move_and_change_their_order(tmp_path):
    """A small lesion moves by 24 mm in steps; a large one stays, is lost in one phase, and a third one appears."""
    still, names = ((-66.0, 10.0, 40.0), 12.0), ["Tumor 1", "Tumor 2"]
    heights = (-50.0, -42.0, -33.0, -26.0)
    rows = [phase(tmp_path, 0, {names[0]: still, names[1]: ((66.0, 0.0, heights[0]), 6.0)})]
    rows.append(phase(tmp_path, 1, {names[0]: ((66.0, 0.0, heights[1]), 6.0)}))
    rows.append(phase(tmp_path, 2, {names[0]: still, names[1]: ((66.0, 0.0, heights[2]), 6.6)}))
    rows.append(phase(tmp_path, 3, {names[0]: ((66.0, 0.0, heights[3]), 6.0), "Tumor 3": ((-60.0, 0.0, -40.0), 6.0)}))
    write_phases([rows], tmp_path, tmp_path / "phases.csv")
    with (tmp_path / "phases.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert tuple(found[0]) == PHASE_COLUMNS
    seen = [(row["phase"], row["lesion"], row["segment"], row["displacement_mm"]) for row in found]
    assert seen == [
        ("0", "L1", "Tumor 1", "0.0"), ("0", "L2", "Tumor 2", "0.0"), ("1", "L2", "Tumor 1", "8.0"),
        ("2", "L1", "Tumor 1", "0.0"), ("2", "L2", "Tumor 2", "17.0"), ("3", "L2", "Tumor 1", "24.0"),
        ("3", "L3", "Tumor 3", ""),
    ]  # fmt: skip
    moved = found[4]
    assert (moved["displacement_x_lps_mm"], moved["displacement_z_lps_mm"]) == ("0.0", "17.0")
    assert float(moved["volume_change_percent"]) == pytest.approx(33.1)
    assert (found[6]["volume_change_percent"], found[6]["centroid_z_lps_mm"]) == ("", "-40.0")


@pytest.mark.slow
def test_segment_writes_a_result_per_phase_and_the_motion(a_bright_model, tmp_path):
    lesion = LesionSpec("solid", 24.0, "lung", "left")
    coarse = PhantomOptions(spacing_mm=(4.0, 3.0, 3.0), height_mm=(-75.0, 30.0), lesions=(lesion,), distractors=())
    ct = make_phantom(7301, coarse).ct
    up = ct.with_array(np.concatenate([ct.array[:1], ct.array[:-1]]))  # everything moves by one slice
    write_4d([ct, up], tmp_path / "ct.nii.gz")
    arguments = ["segment", tmp_path / "ct.nii.gz", "-o", tmp_path / "out", "--model", a_bright_model, "--no-picture"]
    command = [sys.executable, "-m", "LungTumorSegLib", *map(str, arguments), "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2/2 phase_0" in done.stdout
    for name in ("phase_00/segmentation.seg.nrrd", "phase_01/lesions.csv", "cohort.csv", "overview.html"):
        assert (tmp_path / "out" / name).is_file()
    with (tmp_path / "out" / "phases.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["phase"] for row in rows} == {"0", "1"}
    moved = [row for row in rows if row["phase"] == "1" and row["displacement_mm"]]
    assert np.median([float(row["displacement_z_lps_mm"]) for row in moved]) == pytest.approx(4.0)
    assert np.median([float(row["volume_change_percent"]) for row in moved]) == pytest.approx(0.0)
    written = (tmp_path / "out" / "phase_01" / "summary.json").stat().st_mtime_ns
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert (tmp_path / "out" / "phase_01" / "summary.json").stat().st_mtime_ns == written, "it is not computed again"
    refused = subprocess.run([*command, "--no-phases"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "is a 4D image of 2 phases" in refused.stderr
