"""The day of a DICOM CT is the first date that exists, and what is wrong with the others is said."""

from __future__ import annotations

from datetime import date

import pytest
from dicom_series import write_dicom_series
from LungTumorSegLib.io.dicom_dates import acquisition_day
from volumes import make_ct


@pytest.fixture
def day_of(tmp_path):
    def day_of(**stated):
        def edit(dataset, _):
            for keyword, text in stated.items():
                dataset.add_new(keyword, "LO", text)  # as it stands in the file, unchecked

        first, *_ = write_dicom_series(make_ct(), tmp_path, edit=edit, skip=tuple(range(1, 9)))
        return acquisition_day(first)

    return day_of


@pytest.mark.parametrize(
    ("stated", "day"),
    [
        ({}, None),
        ({"StudyDate": ""}, None),
        ({"StudyDate": "20260130"}, date(2026, 1, 30)),
        ({"StudyDate": "2026.01.30"}, date(2026, 1, 30)),
        ({"StudyDate": "20260130", "SeriesDate": "20260131"}, date(2026, 1, 31)),
        ({"StudyDate": "20260129", "SeriesDate": "20260130", "AcquisitionDate": "20260131"}, date(2026, 1, 31)),
    ],
)
def test_the_most_reliable_date_is_taken(day_of, stated, day):
    assert day_of(**stated) == (day, [])


@pytest.mark.parametrize("text", ["20269999", "20260231", "00000000", "yesterday", "20260131\\20260201"])
def test_a_date_that_does_not_exist_is_named_and_not_used(day_of, text):
    day, (warning,) = day_of(AcquisitionDate=text, StudyDate="20260130")
    assert day == date(2026, 1, 30)
    assert f"states the AcquisitionDate {text}, which is no date" in warning
    assert day_of(StudyDate=text)[0] is None


def test_dates_that_contradict_each_other_are_named(day_of):
    day, (warning,) = day_of(AcquisitionDate="19700101", StudyDate="20260130")
    assert day == date(1970, 1, 1)
    assert "contradict each other (AcquisitionDate 1970-01-01, StudyDate 2026-01-30)" in warning
