"""One series UID is not one acquisition: what a stack shares, passes that lie in each other, positions that are
rounded."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from dicom_series import write_dicom_series
from hypothesis import example, given
from hypothesis import strategies as st
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.dicom_grouping import SHARED, SHARED_SECRETS
from LungTumorSegLib.io.dicom_reading import KEYWORDS
from LungTumorSegLib.io.images import read_ct
from LungTumorSegLib.io.slice_passes import follow_each_other, interleaved_passes, overlapping_passes, runs_of_blocks
from LungTumorSegLib.io.slice_stack import half_last_decimal, plan_stack, planes_of, regular_steps
from tiers import fast_only
from volumes import affine_of

UID = "1.2.3"


def write_pass(folder, heights, *, name="", **attributes) -> None:
    """Slices of lung and water at ``heights`` (mm above -40) into ``folder/name``, one series; a list is one value a
    slice."""
    affine = affine_of((heights[1] - heights[0], 0.8, 0.7), origin=(-11.0, 7.0, -40.0))
    array = np.full((len(heights), 10, 12), 30, np.int16)
    array[:, :, :6] = -800 + np.rint(heights).astype(np.int16)[:, np.newaxis, np.newaxis]

    def edit(dataset, index):
        dataset.ImagePositionPatient = [-11, 7, round(-40 + float(heights[index]), 6)]
        dataset.StudyInstanceUID = dataset.FrameOfReferenceUID = "1.2.9"
        for keyword, value in attributes.items():
            setattr(
                dataset,
                keyword,
                value[index] if isinstance(value, list) else list(value) if isinstance(value, tuple) else value,
            )

    write_dicom_series(Volume(array, affine), folder / name, series_uid=UID, edit=edit)


def steps(first, count, step=2.0, offset=0.0) -> np.ndarray:
    return (np.arange(count) + first) * step + offset


# What a stack shares

DIFFERENT = {
    "acquisition, half a slice higher": ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}, "AcquisitionNumber"),
    "kernel": ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}, "ConvolutionKernel"),
    "kernel of several values": ({"ConvolutionKernel": ("I31f", "3")}, {"ConvolutionKernel": ("I70f", "3")},
        "ConvolutionKernel"),
    "phase": ({"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}, "TemporalPositionIdentifier"),
    "cardiac phase": (
        {"NominalPercentageOfCardiacPhase": 0.0}, {"NominalPercentageOfCardiacPhase": 50.0},
        "NominalPercentageOfCardiacPhase"),
    "description": ({"SeriesDescription": "T=0%"}, {"SeriesDescription": "T=50%"}, "SeriesDescription"),
    "patient": ({"PatientID": "secret1"}, {"PatientID": "secret2"}, "PatientID"),
    "study": ({}, {"StudyInstanceUID": "1.2.10"}, "StudyInstanceUID"),
    "frame of reference": ({}, {"FrameOfReferenceUID": "1.2.10"}, "FrameOfReferenceUID"),
    "time": ({"AcquisitionTime": "101500.1"}, {"AcquisitionTime": "101530.1"}, "AcquisitionTime"),
    "order of the slices": (
        {"InstanceNumber": list(range(1, 13))}, {"InstanceNumber": list(range(13, 25))}, "InstanceNumber"),
}  # fmt: skip


DIFFERENT["tube voltage"] = ({"KVP": "80"}, {"KVP": "140"}, "KVP")
DIFFERENT["position of the patient"] = ({"PatientPosition": "HFS"}, {"PatientPosition": "HFP"}, "PatientPosition")
DIFFERENT["the same numbers"] = (
    {"InstanceNumber": list(range(1, 13))},
    {"InstanceNumber": list(range(1, 13))},
    "InstanceNumber",
)


@pytest.mark.parametrize("case", fast_only(list(DIFFERENT)[::3], DIFFERENT))
def test_two_acquisitions_in_one_series_are_named_and_can_be_chosen(tmp_path, case):
    first, second, keyword = DIFFERENT[case]
    write_pass(tmp_path, steps(0, 12), name="a", **first)
    write_pass(tmp_path, steps(0, 12, offset=1.0), name="b", **second)
    with pytest.raises(UnusableInput, match=f"differ in {keyword}, so they are not one acquisition") as refusal:
        read_ct(tmp_path)
    assert "1.2.3#1 (" in str(refusal.value)
    assert "1.2.3#2 (" in str(refusal.value)
    assert "secret" not in str(refusal.value)
    for number, offset in enumerate((0.0, 1.0), 1):
        ct = read_ct(tmp_path, series=f"{UID}#{number}")
        assert ct.shape == (12, 10, 12)
        assert ct.origin[2] == pytest.approx(-40 + offset)
        assert not ct.resampled


def test_all_attributes_that_a_stack_shares_are_read():
    assert {*SHARED_SECRETS, *SHARED} <= set(KEYWORDS)


def test_two_tube_voltages_in_turn_are_two_acquisitions(tmp_path):
    write_pass(tmp_path, steps(0, 24), KVP=["80", "140"] * 12)
    with pytest.raises(UnusableInput, match="differ in KVP, so they are not one acquisition"):
        read_ct(tmp_path)


def test_a_stack_that_is_not_there_is_refused(tmp_path):
    write_pass(tmp_path, steps(0, 12), name="a", ConvolutionKernel="B30f")
    write_pass(tmp_path, steps(0, 12), name="b", ConvolutionKernel="B70f")
    with pytest.raises(
        UnusableInput, match=r"no stack 3 of that series; choose one of: 1\.2\.3#1 \(ConvolutionKernel B"
    ):
        read_ct(tmp_path, series=f"{UID}#3")
    with pytest.raises(UnusableInput, match="does not name a stack of a series"):
        read_ct(tmp_path, series=f"{UID}#two")


def test_a_stray_scout_is_named(tmp_path):
    write_pass(tmp_path, steps(0, 12))
    write_pass(tmp_path, steps(0, 2), name="scout", ImageOrientationPatient=(0, 1, 0, 0, 0, -1))
    (tmp_path / "scout" / "0001.dcm").rename(tmp_path / "scout.dcm")
    shutil.rmtree(tmp_path / "scout")
    with pytest.raises(
        UnusableInput, match=r"differ in orientation or pixel spacing.*1\.2\.3#2 \(1 slice, scout\.dcm\)"
    ):
        read_ct(tmp_path)
    assert read_ct(tmp_path, series=f"{UID}#1").shape == (12, 10, 12)


# Acquisitions and passes by their places


def test_a_second_pass_that_overlaps_the_first_is_found_by_its_places(tmp_path):
    write_pass(tmp_path, steps(0, 20), name="a", InstanceNumber=1)
    write_pass(tmp_path, steps(12, 20, offset=0.6), name="b", InstanceNumber=1)
    with pytest.raises(
        UnusableInput, match=r"differ in the steps between them.*heights -40 to -2 mm, 20 slices.*heights -15"
    ):
        read_ct(tmp_path)
    assert read_ct(tmp_path, series=f"{UID}#2").shape[0] == 20


def test_a_scan_step_by_step_is_one_stack(tmp_path):
    write_pass(
        tmp_path, steps(0, 12), AcquisitionNumber=list(range(1, 13)), AcquisitionTime=[f"1015{n:02}" for n in range(12)]
    )
    ct = read_ct(tmp_path)
    assert ct.shape[0] == 12
    assert ct.warnings == ()


def test_acquisitions_that_follow_each_other_are_one_stack_with_a_warning(tmp_path):
    write_pass(tmp_path, steps(0, 10), name="a", AcquisitionNumber=1)
    write_pass(tmp_path, steps(10, 10), name="b", AcquisitionNumber=2)
    ct = read_ct(tmp_path)
    assert ct.shape[0] == 20
    assert "2 consecutive acquisitions" in ct.warnings[0]


@pytest.mark.parametrize(("keyword", "lower", "upper"), [
    ("AcquisitionDate", "20200101", "20210101"),
    ("ImageType", ("ORIGINAL", "PRIMARY", "AXIAL"), ("DERIVED", "SECONDARY", "MPR")),
    ("SliceThickness", "1.25", "10"),
    ("ManufacturerModelName", "One", "Other"),
    ("PatientBirthDate", "19500101", "19600101"),
])  # fmt: skip
def test_slices_of_other_sources_that_follow_each_other_are_warned_of_without_their_values(
    tmp_path, keyword, lower, upper
):
    write_pass(tmp_path, steps(0, 10), name="a", **{keyword: lower})
    write_pass(tmp_path, steps(10, 10), name="b", **{keyword: upper})
    (warning,) = read_ct(tmp_path).warnings
    assert warning.startswith(f"The slices differ in {keyword}, so they may come from several acquisitions")
    assert not any(str(value) in warning for value in (lower, upper) if isinstance(value, str))


def test_the_same_thickness_in_other_digits_is_no_difference(tmp_path):
    write_pass(tmp_path, steps(0, 10), name="a", SliceThickness="1.25")
    write_pass(tmp_path, steps(10, 10), name="b", SliceThickness="1.250")
    assert read_ct(tmp_path).warnings == ()


def test_acquisitions_with_a_step_between_them_are_two(tmp_path):
    write_pass(tmp_path, steps(0, 10), name="a", AcquisitionNumber=1)
    write_pass(tmp_path, steps(10, 10, offset=1.1), name="b", AcquisitionNumber=2)
    with pytest.raises(UnusableInput, match=r"differ in AcquisitionNumber.*AcquisitionNumber 1, 10 slices"):
        read_ct(tmp_path)


@given(
    step=st.floats(0.5, 5),
    share=st.floats(0.1, 0.4),
    first=st.integers(8, 40),
    overlap=st.integers(4, 30),
    second=st.integers(8, 40),
    jitter=st.integers(0, 1000),
)
def test_interleaved_passes_come_apart(step, share, first, overlap, second, jitter):
    rng = np.random.default_rng(jitter)
    lower = np.arange(first) * step
    upper = (np.arange(second) + max(0, first - overlap)) * step + share * step
    if min(first, first - max(0, first - overlap), second) < 4:
        return
    heights = np.concatenate([lower, upper]) + rng.uniform(-0.002, 0.002, first + second)
    order = np.argsort(heights)
    if step * share < 0.12 or step * (1 - 2 * share) < 0.12:
        return  # finer than what counts as rounding
    passes = interleaved_passes(heights[order], 0.0)
    assert sorted(map(len, passes)) == sorted([first, second])
    belongs = order >= first
    assert all(len(set(belongs[each])) == 1 for each in passes)


@given(distances=st.lists(st.floats(0.5, 5), min_size=7, max_size=40))
def test_every_slice_is_in_one_pass(distances):
    heights = np.concatenate([[0], np.cumsum(distances)])
    assert sorted(np.concatenate(interleaved_passes(heights, 0.0))) == list(range(len(heights)))


@pytest.mark.parametrize(
    "distances", [[1.25] * 20 + [2.5] * 20, [2.0] * 8 + [6.0] + [2.0] * 8, [2, 2.1, 1.9, 2.3, 1.8, 2, 2.2, 1.7]]
)
def test_uneven_steps_are_one_pass(distances):
    assert len(interleaved_passes(np.concatenate([[0], np.cumsum(distances)]), 0.0)) == 1


@given(
    st.floats(0.5, 5),
    st.integers(2, 4),
    st.integers(3, 20),
    st.integers(3, 30),
    st.integers(3, 20),
    st.floats(-0.01, 0.01),
)
def test_passes_that_overlap_in_part_come_apart(step, parts, below, overlap, above, jitter):
    """The second pass begins within the first one and ends beyond it, a share of a step higher."""
    first = np.arange(below + overlap) * step
    second = np.arange(below, below + overlap + above) * step + step / parts
    heights = np.concatenate([first, second])
    heights[::3] += jitter
    order = np.argsort(heights)
    passes = overlapping_passes(heights[order], 0.0)
    assert [sorted(order[each]) for each in passes] == [
        list(range(len(first))),
        list(range(len(first), len(heights))),
    ]


@given(st.integers(8, 60), st.lists(st.integers(0, 59), max_size=12))
def test_one_pass_with_slices_missing_stays_one(count, missing):
    heights = np.delete(np.arange(count) * 2.0, [index for index in set(missing) if index < count - 2])
    assert len(overlapping_passes(heights, 0.0)) == 1


def test_a_finer_middle_is_no_second_pass():
    assert (
        len(
            overlapping_passes(np.concatenate([np.arange(10) * 2.0, 20 + np.arange(10), 30 + np.arange(10) * 2.0]), 0.0)
        )
        == 1
    )


def test_half_overlapping_passes_are_named_although_their_numbers_alternate(tmp_path):
    heights = np.sort(np.concatenate([steps(0, 20), steps(10, 20, offset=1.0)]))
    write_pass(tmp_path, heights, InstanceNumber=list(range(1, 41)))
    with pytest.raises(UnusableInput, match="differ in the steps between them, so they are not one acquisition"):
        read_ct(tmp_path)
    assert read_ct(tmp_path, series=f"{UID}#2").shape[0] == 20


@pytest.mark.parametrize("direction", [1, -1])
def test_every_second_slice_deleted_is_seen_by_the_numbers(tmp_path, direction):
    write_pass(tmp_path, steps(0, 20), InstanceNumber=[100 + direction * 2 * i for i in range(20)])
    assert any("numbered in steps of 2 (InstanceNumber)" in warning for warning in read_ct(tmp_path).warnings)


def test_consecutive_and_irregular_numbers_are_no_reason_to_warn(tmp_path):
    write_pass(tmp_path / "a", steps(0, 12), InstanceNumber=list(range(12)))
    write_pass(tmp_path / "b", steps(0, 12), InstanceNumber=[1, 2, 4, 7, 8, 11, 12, 13, 15, 16, 17, 20])
    assert not any("numbered" in warning for folder in "ab" for warning in read_ct(tmp_path / folder).warnings)


def test_blocks_that_turn_back_start_a_run():
    up = [np.array([float(z)]) for z in (0, 1, 2, 3, 0.5, 1.5, 2.5)]
    assert runs_of_blocks(up) == [[0, 1, 2, 3], [4, 5, 6]]
    assert runs_of_blocks(up[3::-1]) == [[0, 1, 2, 3]]
    assert not follow_each_other([np.arange(5.0), np.arange(5.0) + 5.4], 0.0)
    assert follow_each_other([np.arange(5.0), np.arange(5.0) + 6], 0.0)  # one slice is missing between them


# Rounded positions


@given(
    step=st.floats(0.6, 10),
    count=st.integers(8, 200),
    origin=st.floats(-1500, 1500),
    decimals=st.sampled_from([1, 2, 3]),
    as_single=st.booleans(),
)
def test_rounded_positions_are_a_regular_grid(step, count, origin, decimals, as_single):
    heights = np.round(origin + np.arange(count) * step, decimals)
    if as_single:
        heights = heights.astype(np.float32).astype(float)
    counts, found = regular_steps(heights, half_last_decimal(heights))
    assert (counts == 1).all()
    assert found == pytest.approx(step, abs=2.1 * 0.5 * 10.0**-decimals / (count - 1) + 1e-3 / (count - 1))


@given(count=st.integers(20, 60), gap=st.integers(1, 18), missing=st.integers(1, 3), step=st.floats(0.6, 5))
@example(count=39, gap=8, missing=3, step=1.35)  # the mean distance is rounded too, four times over the gap
def test_missing_slices_are_counted_though_positions_are_rounded(count, gap, missing, step):
    there = np.delete(np.arange(count + missing), np.arange(gap, gap + missing))
    heights = np.round(there * step, 1)
    counts, found = regular_steps(heights, 0.05)
    assert counts.tolist() == np.diff(there).tolist()
    assert found == pytest.approx(step, abs=0.11 / (count - 1))


def test_positions_with_one_decimal_are_read_without_interpolation(tmp_path):
    write_pass(tmp_path, np.round(steps(0, 79, 1.25), 1))
    ct = read_ct(tmp_path)
    assert ct.shape[0] == 79
    assert not ct.resampled
    assert ct.warnings == ()
    assert ct.spacing[0] == pytest.approx(1.25, abs=0.002)


def plan_of(positions, axes=((0, 1, 0), (1, 0, 0))):
    planes = planes_of(np.asarray(positions, float), np.ravel(axes[::-1]), np.array([0.7, 0.7]))
    return plan_stack(planes, (512, 512), "here")


def test_sideways_rounding_is_no_tilt():
    rng = np.random.default_rng(4)
    positions = [[-150 + x, -150 + y, 2.0 * z] for z, (x, y) in enumerate(rng.choice([-0.05, 0.0], (40, 2)))]
    assert plan_of(np.round(positions, 2)).warning == ""


@given(tilt=st.integers(1, 25), decimals=st.sampled_from([1, 2, 6]))
def test_a_tilt_is_a_straight_line_through_rounded_positions(tilt, decimals):
    sine, cosine = np.sin(np.radians(tilt)), np.cos(np.radians(tilt))
    positions = np.round([[-150, -150, 2.0 * z] for z in range(40)], decimals)
    plan = plan_of(positions, ((0, cosine, sine), (1, 0, 0)))
    assert f"tilted relative to their stack by {tilt:.1f} degrees" in plan.warning
    np.testing.assert_allclose(np.diff(plan.shifts[:, 0]), np.diff(plan.shifts[:, 0])[0], atol=1e-9)


def test_irregular_sideways_shifts_are_no_tilt():
    positions = [[-150 + 3 * (z % 2), -150, 2.0 * z] for z in range(40)]
    warning = plan_of(positions).warning
    assert "are shifted sideways by up to 3 mm" in warning
    assert "tilted" not in warning


@pytest.mark.parametrize(
    ("values", "half"), [([1, 2, 3], 0.5), ([1.2, 30.200000763], 0.05), ([0.12, 1], 0.005), ([0.12345, 1], 0.00005)]
)
def test_the_last_decimal_is_found(values, half):
    assert half_last_decimal(np.array(values, float)) == pytest.approx(half)
