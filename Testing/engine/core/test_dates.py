"""Dates are read as people and DICOM write them, and only if there is such a day."""

from __future__ import annotations

from datetime import date

import pytest
from LungTumorSegLib.core.dates import date_of, has_form_of_date


@pytest.mark.parametrize("text", ["2026-01-31", "20260131", "2026.01.31", "2026/1/31", " 20260131 "])
def test_usual_forms_are_read(text):
    assert date_of(text) == date(2026, 1, 31)
    assert has_form_of_date(text)


@pytest.mark.parametrize("text", ["2026-99-99", "20260231", "2025-02-29", "0000-01-01", "00000000", "2026.13.01"])
def test_a_day_that_does_not_exist_is_no_date_but_has_the_form_of_one(text):
    assert date_of(text) is None
    assert has_form_of_date(text)


@pytest.mark.parametrize("text", ["", "2026", "2026-01", "2026-01.31", "202601311", "31.01.2026", "2026-W01-1", "May"])
def test_other_texts_are_no_dates(text):
    assert date_of(text) is None
    assert not has_form_of_date(text)
