"""No damaged file ends a reader but by its one sentence."""

from __future__ import annotations

import pytest
from fuzzing import MAX_BYTES, READERS, Findings, fuzz

pytest.importorskip("resource")  # limits of memory; Windows has none


def assert_all_end_well(findings: Findings, count: int) -> None:
    assert findings.failures == []
    assert findings.outcomes.total() == count
    assert findings.outcomes["refused"] > count / 10, "the mutations reach what is checked"
    assert findings.peak_bytes < MAX_BYTES


@pytest.fixture(scope="module")
def thirty_of_each():
    return fuzz(list(READERS), count=30)


@pytest.mark.parametrize("reader", READERS)
def test_thirty_damaged_files(thirty_of_each, reader):
    assert_all_end_well(thirty_of_each[reader], 30)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("reader", READERS)
def test_a_thousand_damaged_files(reader):
    assert_all_end_well(fuzz([reader], count=1000)[reader], 1000)
