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
