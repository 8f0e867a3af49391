"""4D CTs: each phase can be read, and none is read unasked."""

from __future__ import annotations

import numpy as np
import pytest
from four_d import write_4d, write_4d_dicom, write_4d_nrrd, write_phase_series
from LungTumorSegLib.core.errors import ChoiceMissing, SeveralPhases, UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import read_ct, read_volume

PERCENT = "NominalPercentageOfRespiratoryPhase"


@pytest.fixture(scope="module")
def phases() -> list[Volume]:
    """Three CTs (8 slices, 10 rows, 14 columns) of noise on one oblique grid."""
    turned = np.array([[0, -0.6, 0.8], [0, 0.8, 0.6], [1, 0, 0]])
    affine = np.eye(4)
    affine[:3] = np.column_stack([turned * (2.5, 0.75, 0.75), (11.0, -20.0, 30.0)])
    random = np.random.default_rng(5)
    return [Volume(random.integers(-1000, 400, (8, 10, 14)).astype(np.int16), affine) for _ in range(3)]


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_each_phase_of_a_nifti_is_read(phases, tmp_path, name):
    path = write_4d(phases, tmp_path / name)
    for number, phase in enumerate(phases):
        read = read_ct(path, phase=number)
        assert np.array_equal(read.array, phase.array)
        assert np.allclose(read.affine, phase.affine, atol=1e-4)


@pytest.mark.parametrize(("keyword", "values"), [
    ("TemporalPositionIdentifier", [1, 2, 10]), (PERCENT, [0.0, 33.5, 70.0]),
])  # fmt: skip
def test_each_phase_of_a_dicom_series_is_read_in_the_order_of_its_numbers(phases, tmp_path, keyword, values):
    shuffled = [1, 2, 0]
    folder = write_4d_dicom([phases[i] for i in shuffled], tmp_path, [values[i] for i in shuffled], keyword)
    for number, phase in enumerate(phases):
        assert np.array_equal(read_ct(folder, phase=number).array, phase.array)
    with pytest.raises(SeveralPhases, match=f"of 3 phases .{keyword} {values[0]} to {keyword} {values[2]}.") as found:
        read_ct(folder)
    assert len(found.value.phases) == 3


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nhdr", "ct.seq.nrrd"])
@pytest.mark.parametrize(("position", "kind"), [(3, "list"), (0, "list"), (2, "list"), (3, "time")])
def test_each_phase_of_an_nrrd_is_read_wherever_its_axis_is(phases, tmp_path, name, position, kind):
    path = write_4d_nrrd(phases, tmp_path / name, position=position, kind=kind)
    for number, phase in enumerate(phases):
        read = read_ct(path, phase=number)
        assert np.array_equal(read.array, phase.array)
        assert np.allclose(read.affine, phase.affine, atol=1e-9)
    with pytest.raises(SeveralPhases, match="is a 4D image of 3 phases"):
        read_ct(path)
    with pytest.raises(UnusableInput, match="is a 4D image of 3 phases; choose a single 3D volume"):
        read_volume(path)


def test_colors_are_no_phases(phases, tmp_path):
    with pytest.raises(UnusableInput, match="contains 3 values per voxel") as refusal:
        read_ct(write_4d_nrrd(phases, tmp_path / "ct.nrrd", position=0, kind="RGB-color"))
    assert not isinstance(refusal.value, SeveralPhases)


DESCRIBED = {
    "percentages": (["CT 0%", "CT 50%", "CT 90%"], "0% to 90%"),
    "gated": (["P4^S300, Gated, 0.0%", "P4^S300, Gated, 33,5%", "P4^S300, Gated, 100.0%A"], "0% to 100%"),
    "inhalation and exhalation": (["RESP 20% In", "RESP 100 % In", "RESP 20%EX"], "20% in to 20% ex"),
}
"""Descriptions of series as scanners write them, in the order of the breath, and how a message states them."""


@pytest.mark.parametrize("case", DESCRIBED)
def test_each_phase_in_a_series_of_its_own_is_read_in_the_order_of_the_breath(phases, tmp_path, case):
    descriptions, stated = DESCRIBED[case]
    shuffled = [1, 2, 0]
    folder = write_phase_series([phases[i] for i in shuffled], tmp_path, [descriptions[i] for i in shuffled])
    for number, phase in enumerate(phases):
        read = read_ct(folder, phase=number)
        assert np.array_equal(read.array, phase.array)
        assert not [warning for warning in read.warnings if "other series" in warning]
    with pytest.raises(SeveralPhases, match=f"is a 4D image of 3 phases .{stated}.; choose one with --phase"):
        read_ct(folder)
    assert np.array_equal(read_ct(folder, series="1.2.3.0").array, phases[1].array)


def test_each_phase_in_a_series_of_its_own_is_read_by_its_number(phases, tmp_path):
    def numbered(dataset, number):
        dataset.TemporalPositionIdentifier = 10 - number

    folder = write_phase_series(phases, tmp_path, ["Thorax"] * 3, numbered)
    assert np.array_equal(read_ct(folder, phase=0).array, phases[2].array)


def elsewhere(dataset, number):
    dataset.FrameOfReferenceUID = f"1.2.9.{number}"


def another_study(dataset, number):
    dataset.StudyInstanceUID = f"1.2.9.{number}"


def another_kernel(dataset, number):
    dataset.ConvolutionKernel = f"B{number}0f"


def moved(dataset, number):
    x, y, z = dataset.ImagePositionPatient
    dataset.ImagePositionPatient = [x, y, float(z) + 0.5 * number]


@pytest.mark.parametrize(("descriptions", "edit"), [
    (["0%", "10%", "Average"], None), (["0%", "10%", "Average 0% to 90%"], None), (["0%", "10%", "10%"], None),
    (["Lung ASIR 30%", "Lung ASIR 40%", "Lung ASIR 50%"], None), (["arterial", "venous", "late"], None),
    (["0%", "10%", "20%"], elsewhere), (["0%", "10%", "20%"], another_study), (["0%", "10%", "20%"], another_kernel),
    (["0%", "10%", "20%"], moved),
])  # fmt: skip
def test_other_series_are_listed_and_are_no_phases(phases, tmp_path, descriptions, edit):
    folder = write_phase_series(phases, tmp_path, descriptions, edit)
    with pytest.raises(
        ChoiceMissing, match=r"contains 3 CT series; choose one with --series: 1.2.3.0 .*1.2.3.2 "
    ) as no:
        read_ct(folder)
    assert not isinstance(no.value, SeveralPhases)
    assert "--" not in no.value.without_option


def test_no_phase_is_read_unasked_or_where_there_is_none(phases, tmp_path):
    path = write_4d(phases, tmp_path / "ct.nii")
    with pytest.raises(SeveralPhases, match=r"is a 4D image of 3 phases; choose one with --phase, from 0 to 2\."):
        read_ct(path)
    with pytest.raises(UnusableInput, match="has no phase 3"):
        read_ct(path, phase=3)
    with pytest.raises(UnusableInput, match="4D image"):
        read_volume(path)
    with pytest.raises(UnusableInput, match="which has no phases; omit --phase"):
        read_ct(write_4d(phases[:1], tmp_path / "one.nii"), phase=0)


@pytest.mark.parametrize(("change", "message"), [
    (lambda whole: whole[:-1], "is truncated"), (lambda whole: whole + b"\0", "contains more than"),
])  # fmt: skip
@pytest.mark.parametrize("phase", [0, 2])
def test_a_damaged_file_is_refused_whichever_phase_is_read(phases, tmp_path, change, message, phase):
    path = write_4d(phases, tmp_path / "ct.nii")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UnusableInput, match=message):
        read_ct(path, phase=phase)


def test_parts_of_the_chest_with_temporal_positions_of_their_own_are_no_phases(phases, tmp_path):
    affine = phases[1].affine.copy()
    affine[:3, 3] += 8 * affine[:3, 0]
    above = Volume(phases[1].array, affine)
    folder = write_4d_dicom([phases[0], above], tmp_path, [1, 2], "TemporalPositionIdentifier")
    with pytest.raises(UnusableInput, match="differ in TemporalPositionIdentifier") as refusal:
        read_ct(folder)
    assert not isinstance(refusal.value, SeveralPhases)
