"""Conformance with the Image Biomarker Standardisation Initiative: see Testing/data/ibsi."""

import pytest
from ibsi import CONFIGURATIONS, read_table, rows

FEATURES = 31


def check(configuration, ct_folder=None):
    table = list(rows(configuration, ct_folder))
    assert len(table) == FEATURES
    assert [row for row in table if not row.conforms] == []
    committed = [line for line in read_table("conformance.csv") if line["configuration"] == configuration]
    assert [line["tag"] for line in committed] == [row.tag for row in table]
    assert [float(line["ours"]) for line in committed] == pytest.approx([row.ours for row in table], rel=1e-3)


def test_the_digital_phantom_conforms():
    check("digital")


@pytest.mark.real_ct
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_the_ct_phantom_conforms(configuration, real_ct_folder):
    check(configuration, real_ct_folder / "ibsi1_phantom")


def test_every_row_of_the_committed_table_conforms():
    table = read_table("conformance.csv")
    assert len(table) == FEATURES * 6
    assert {line["conforms"] for line in table} == {"yes"}
