"""Arguments of another type than expected are refused at once, in a sentence that says what to give."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from LungTumorSegLib import (
    CTVolume,
    Volume,
    compare,
    isolate_lungs,
    measure,
    outline,
    read_ct,
    read_segmentation,
    segment,
    write_result,
)
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.followup.examination import read_examination
from made_results import a_result

CT = CTVolume(np.zeros((2, 3, 4), np.int16), np.eye(4))
DAY = date(2026, 1, 31)


@pytest.mark.parametrize(
    "call",
    [segment, isolate_lungs, lambda ct: outline(ct, point=(0.0, 0.0, 0.0)), lambda ct: measure(ct, ())],
    ids=["segment", "isolate_lungs", "outline", "measure"],
)
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("ct.nii.gz", r"a CTVolume, not 'ct\.nii\.gz'; read a file or folder with read_ct"),
        (Path("ct.nii.gz"), r"a CTVolume, not ct\.nii\.gz; read a file or folder with read_ct"),
        (None, "a CTVolume, not None"),
        (CT.array, "a CTVolume, not an object of type ndarray"),
    ],
    ids=["text", "path", "none", "array"],
)
def test_what_is_no_ct_is_refused(call, given, sentence):
    with pytest.raises(UnusableInput, match=sentence):
        call(given)


def test_a_part_of_a_ct_is_a_ct():
    part = CT.crop((0, 1, 1), (2, 3, 3))
    assert not isinstance(part, CTVolume)
    assert measure(part, ()).lesions == ()
    with pytest.raises(UnusableInput, match="NaN or infinite values"):
        measure(Volume(np.full((2, 2, 2), np.nan), np.eye(4)), ())


@pytest.mark.parametrize("given", ["a.seg.nrrd", Path("a.seg.nrrd"), ["a.seg.nrrd"], [Path("a.seg.nrrd")], CT])
def test_what_are_no_segments_is_refused(given):
    with pytest.raises(UnusableInput, match=r"must be a list of segments, not .*; read a file with read_segmentation"):
        measure(CT, given)


def test_options_are_given_by_name():
    with pytest.raises(UnusableInput, match="must be SegmentOptions or a dict, not 'default'"):
        segment(CT, "default")


def test_a_comparison_takes_paths_and_a_number_of_days(tmp_path):
    with pytest.raises(UnusableInput, match="the path of a result folder or of a segmentation, not an object of type"):
        compare(CT, CT)
    with pytest.raises(UnusableInput, match="must be a number of days, not '98'"):
        compare(tmp_path, tmp_path, days="98")
    with pytest.raises(UnusableInput, match=r"give the path that read_ct\(path\) reads"):
        read_examination(tmp_path, CT)
    with pytest.raises(UnusableInput, match=r"must be a datetime\.date, not '2026-01-31'"):
        read_examination(tmp_path, day="2026-01-31")


@pytest.mark.parametrize("given", [None, 3, b"ct.nii.gz", CT])
def test_what_is_no_path_is_not_read(given):
    with pytest.raises(UnusableInput, match=r"A CT is read from the path of a file or folder, not from .*; give its"):
        read_ct(given)
    with pytest.raises(UnusableInput, match=r"A segmentation is read from the path of a file or folder, not from"):
        read_segmentation(given)


def test_series_and_phase_of_another_type_are_refused(tmp_path):
    with pytest.raises(UnusableInput, match=r"series of a CT must be a text .*, not 3"):
        read_ct(tmp_path, series=3)
    with pytest.raises(UnusableInput, match="phase of a 4D CT must be a whole number, counted from 0, not '0'"):
        read_ct(tmp_path, phase="0")


@pytest.mark.parametrize(
    ("dates", "what"),
    [
        ((DAY,), r"1 of them"),
        ((DAY, DAY, DAY), "3 of them"),
        (DAY, "an object of type date"),
        ("2026-01-31", "'2026-01-31'"),
    ],
)
def test_a_comparison_takes_two_dates(tmp_path, dates, what):
    with pytest.raises(UnusableInput, match=rf"must be a pair: \(earlier date, later date\), not {what}\."):
        compare(tmp_path, tmp_path, dates=dates)


def test_a_result_is_written_into_a_folder_that_is_named_by_a_text(tmp_path):
    write_result(a_result(), str(tmp_path / "result"), picture=False)
    assert (tmp_path / "result" / "summary.json").is_file()
