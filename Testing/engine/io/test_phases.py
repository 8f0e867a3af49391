"""4D CTs: each phase can be read, and none is read unasked."""

from __future__ import annotations

import numpy as np
import pytest
from four_d import write_4d, write_4d_dicom
from LungTumorSegLib.core.errors import SeveralPhases, UnusableInput
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
