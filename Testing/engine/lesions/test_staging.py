"""Size categories."""

import pytest
from LungTumorSegLib.lesions.staging import size_category


@pytest.mark.parametrize(("size_mm", "category"), [
    (0.7, "T1a"), (10, "T1a"), (10.1, "T1b"), (20, "T1b"), (20.1, "T1c"), (30, "T1c"), (30.1, "T2a"), (40, "T2a"),
    (40.1, "T2b"),
    (50, "T2b"), (50.1, "T3"), (70, "T3"), (70.1, "T4"), (180, "T4"),
])  # fmt: skip
def test_a_size_on_the_limit_belongs_to_the_lower_category(size_mm, category):
    assert size_category(size_mm) == category


@pytest.mark.parametrize(("long_axis_mm", "density", "solid_mm", "category"), [
    (30, "ground glass", None, "Tis"), (30, "ground glass", 4, "Tis"), (30.1, "ground glass", None, "T1a"),
    (30, "part-solid", 5, "T1mi"), (30, "part-solid", 5.1, "T1a"), (30.1, "part-solid", 5, "T1a"),
    (45, "part-solid", 25, "T1c"), (45, "part-solid", None, "T2b"), (25, "solid", 4, "T1c"),
])  # fmt: skip
def test_subsolid_lesions_have_the_category_of_their_solid_part(long_axis_mm, density, solid_mm, category):
    assert size_category(long_axis_mm, density, solid_mm) == category
